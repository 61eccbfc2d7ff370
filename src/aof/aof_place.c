/* Printed by hand, since a small write to the file would spend a tenth of its time in printf. */
#include "aof/aof_place.h"
#include "base/num.h"
#include "oplog/oplog.h"
#include <string.h>

#define MARK "#R:"
#define MARK_LEN (sizeof MARK - 1)

size_t aof_place_print(char *line, int64_t offset, int db) {
    char *p = line + MARK_LEN + AOF_PLACE_ID;
    if (oplog_id == NULL) return 0;
    memcpy(line, MARK, MARK_LEN);
    memcpy(line + MARK_LEN, oplog_id, AOF_PLACE_ID);
    *p++ = ' ';
    p += num_print_i64(p, offset);
    *p++ = ' ';
    p += num_print_i64(p, db);
    *p++ = '\r';
    *p++ = '\n';
    return (size_t)(p - line);
}

static bool is_id(const char *text) {
    for (int i = 0; i < AOF_PLACE_ID; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) return false;
    return true;
}

bool aof_place_parse(const char *line, size_t len, struct aof_place *place) {
    int64_t db;
    while (len && (line[len - 1] == '\r' || line[len - 1] == '\n'))
        len--;
    if (len < MARK_LEN + AOF_PLACE_ID + 4 || memcmp(line, MARK, MARK_LEN) != 0) return false;
    const char *id = line + MARK_LEN, *number = id + AOF_PLACE_ID + 1, *end = line + len;
    const char *blank = memchr(number, ' ', (size_t)(end - number));
    if (!is_id(id) || number[-1] != ' ' || blank == NULL) return false;
    if (!num_parse_i64(slice_of(number, (size_t)(blank - number)), &place->offset) || place->offset < 0) return false;
    if (!num_parse_i64(slice_of(blank + 1, (size_t)(end - blank - 1)), &db) || db < -1 || db > INT32_MAX) return false;
    memcpy(place->id, id, AOF_PLACE_ID);
    place->id[AOF_PLACE_ID] = '\0';
    place->db = (int)db;
    return true;
}
