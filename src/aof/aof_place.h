/* The place in the history of the data up to which a log file goes, so that a server that restarts with this file can
 * go on with its replicas or its primary. It is a line, which Redis and its tools skip, as it begins with '#':
 *
 *     #R:<id of the history, 40 hex digits> <offset> <selected database> CR LF
 *
 * It stands at the end of a frame, behind the commands (aof/aof_frame.h), and is part of what the frame's checksum
 * covers: a wrong place would make a replica's data wrong for good. It tells that the data after all commands before it
 * are those of the history at this offset. Commands that follow it make it void. In a file that has lost commands no
 * place is right any more: there the line AOF_PLACE_LOST stands, and it makes those behind it void, too. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AOF_PLACE_ID 40  /* digits of an id */
#define AOF_PLACE_MAX 80 /* bytes of a line */
#define AOF_PLACE_LOST "#R:lost\r\n"

struct aof_place {
    char id[AOF_PLACE_ID + 1]; /* "": none */
    int64_t offset;
    int db; /* the database that the stream has selected there; -1: none */
};

/* Write the line, which tells this place of the history that the log continues (oplog_id). Returns its bytes; 0 if
 * there is no such history. `line` has AOF_PLACE_MAX bytes. */
size_t aof_place_print(char *line, int64_t offset, int db);
/* False: the line, with or without its end, is not a place. */
bool aof_place_parse(const char *line, size_t len, struct aof_place *place);
