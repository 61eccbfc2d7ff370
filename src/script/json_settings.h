/* The settings of one instance of the library `cjson`: a userdata that all its functions hold as their first upvalue.
 * What a script sets stays for the scripts after it, as in Redis. */
#pragma once
#include <lua5.1/lua.h>

/* What becomes of NaN and infinity. */
enum json_invalid {
    JSON_INVALID_REFUSED,
    JSON_INVALID_WRITTEN, /* as nan, inf, -inf */
    JSON_INVALID_NULL,
};

enum json_upvalue {
    JSON_UPVALUE_SETTINGS = 1,
    JSON_UPVALUE_BUFFER, /* of encode and decode: where lib_buf.h keeps its memory */
};

struct json_settings {
    int sparse_convert;                     /* write an array that is too sparse as an object */
    int sparse_ratio, sparse_safe;          /* too sparse: longer than items * ratio, and than `safe`; 0: never */
    int encode_max_depth, decode_max_depth; /* tables inside each other */
    int precision;                          /* significant digits of numbers, 1 to 14 */
    int keep_buffer;                        /* between calls of encode */
    enum json_invalid encode_invalid;
    int decode_invalid; /* read NaN, Inf, hexadecimal numbers and leading zeros */
};

static inline struct json_settings *json_settings_of(lua_State *L) {
    return lua_touserdata(L, lua_upvalueindex(JSON_UPVALUE_SETTINGS));
}
