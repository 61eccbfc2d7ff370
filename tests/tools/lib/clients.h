/* Several connections to each of two servers, and what each of them gets in a fixed order of events.
 *
 * A *.clients file has a command a line, behind the name of the connection that sends it; '#' begins a comment:
 *
 *   @a BLPOP k 0           connection a (opened at its first use, closed at the end of the file) sends this
 *   @b+ PING               kept back, to leave in one piece with what b sends next
 *   @b CLIENT UNBLOCK $a   $a stands for the id of connection a on that server
 *   !close a               a goes away          !shut a    a says that it will send no more, and still reads
 *   !await a               until a got something, or was closed: for what needs time (10 s at most)
 *
 * After each of these lines (but the kept back) both servers are given the time to do all that follows from it, and then
 * what each connection got since is compared, reply by reply, pushes included, and whether it was closed. In front of a
 * line a rule of compare.h may say how strictly (it holds for what all connections get; else the rule of the
 * grammars for that command holds for who sent it, and nothing may differ for the others), and
 *
 *   !expect a "+OK\r\n"    says what connection a of ours is to get, where Redis 7.2 differs from the oracle
 *   !expect3 a ...         the same in RESP3 only
 *
 * The file is run in RESP2 and in RESP3 (each connection begins with HELLO), on databases that are empty at first. */
#pragma once
#include "peer.h"

/* Servers [0] is ours, [1] the oracle. Counts lines. False if a server is gone. */
bool clients_run(struct peer servers[2], const char *path, int protocol, int *passed, int *failed);
