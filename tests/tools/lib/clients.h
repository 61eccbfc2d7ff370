/* Several connections to each of two servers, and the replies of each connection in a fixed order of events.
 *
 * A *.clients file has a command a line, behind the name of the connection that sends it; '#' begins a comment:
 *
 *   @a BLPOP k 0           connection a (opened at its first use, closed at the end of the file) sends this
 *   @b+ PING               kept back, to leave in one piece with the next line of b
 *   @b CLIENT UNBLOCK $a   $a stands for the id of connection a on that server
 *   !close a               a closes             !shut a    a shuts its writing side down, and still reads
 *   !await a               waits until a got something or was closed (10 s at most)
 *
 * After each of these lines (except those kept back) both servers get the time to do all that follows from it. Then the
 * new replies of each connection are compared one by one, pushes included, and whether it was closed. A rule of
 * compare.h in front of a line tells how strictly to compare the replies of all connections. Without one, the rule of
 * the grammars for that command holds for the connection that sent it, and the others must get the same bytes. Also:
 *
 *   !expect a "+OK\r\n"    tells what connection a of ours gets, where Redis 7.2 differs from the oracle
 *   !expect3 a ...         the same in RESP3 only
 *
 * The file runs in RESP2 and in RESP3 (each connection begins with HELLO), on databases that are empty at first. */
#pragma once
#include "peer.h"

/* Servers [0] is ours, [1] the oracle. Counts lines. False if a server is gone. */
bool clients_run(struct peer servers[2], const char *path, int protocol, int *passed, int *failed);
