/* The table of types. Its declaration is in value.h, since entries and databases use it and know no type, while this
 * file knows all types. */
#include "store/fieldmap.h"
#include "store/list.h"
#include "store/set.h"
#include "store/stream.h"
#include "store/string.h"
#include "store/value.h"
#include "store/zset.h"

const struct value_ops *const value_types[] = {
    [ENTRY_STRING] = &string_ops, [ENTRY_LIST] = &list_ops, [ENTRY_HASH] = &fieldmap_ops,
    [ENTRY_SET] = &set_ops,       [ENTRY_ZSET] = &zset_ops, [ENTRY_STREAM] = &stream_ops,
};
static_assert(sizeof value_types / sizeof *value_types == ENTRY_TYPES, "each type has a row");
