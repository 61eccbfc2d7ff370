#include "cmd/args.h"
#include "base/num.h"
#include "server/reply.h"
#include "store/db.h"
#include <limits.h>

bool args_i64(struct client *c, struct slice arg, int64_t *out) {
    if (__builtin_expect(num_parse_i64(arg, out), 1)) return true;
    reply_not_integer(c);
    return false;
}

bool args_is_int(struct slice arg, int *out) {
    int64_t n;
    if (!num_parse_i64(arg, &n) || n < INT_MIN || n > INT_MAX) return false;
    *out = (int)n;
    return true;
}

bool args_db(struct client *c, struct slice arg, struct db **out) {
    int64_t n;
    if (!args_i64(c, arg, &n)) return false;
    if (n < INT_MIN || n > INT_MAX) {
        reply_errorf(c, "ERR value is out of range, value must between %d and %d", INT_MIN, INT_MAX);
        return false;
    }
    if (n < 0 || n >= db_count()) {
        reply_error(c, "ERR DB index is out of range");
        return false;
    }
    *out = db_at((int)n);
    return true;
}
