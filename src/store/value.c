/* The types of values there are. */
#include "store/value.h"
#include "store/db.h"
#include "store/fieldmap.h"
#include "store/list.h"
#include "store/set.h"
#include "store/string.h"
#include "store/zset.h"

const struct value_ops *const value_types[ENTRY_TYPES] = {
    [ENTRY_STRING] = &string_ops, [ENTRY_LIST] = &list_ops, [ENTRY_HASH] = &fieldmap_ops,
    [ENTRY_SET] = &set_ops,       [ENTRY_ZSET] = &zset_ops,
};

struct entry *value_copy(struct db *to, const struct key *key, const struct entry *e, int64_t deadline_ms) {
    enum entry_type type = entry_type(e);
    unsigned encoding = entry_encoding(e);
    if (!entry_owns_memory(e)) return db_put(to, key, NULL, type, encoding, entry_value(e), e->value_len, deadline_ms);
    void *value = value_types[type]->copy(entry_pointer(e), encoding);
    return db_put(to, key, NULL, type, encoding, &value, sizeof value, deadline_ms);
}
