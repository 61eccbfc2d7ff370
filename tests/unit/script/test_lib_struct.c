/* The table `struct`: what each format gives, taken from redis-server 7.0.15, and random formats there and back. To
 * repeat a failed run, pass the SEED that it prints. */
#include "sandbox_lab.h"
#include <inttypes.h>

static const struct lab_line lines[] = {
    {"return hex(struct.pack('bBhH', -1, 255, -2, 65535))", "true fffffeffffff"},
    {"return hex(struct.pack('iIlLT', -1, 4294967295, -2, 1, 5))",
     "true fffffffffffffffffeffffffffffffff01000000000000000500000000000000"},
    {"return hex(struct.pack('b', 300)), hex(struct.pack('B', -1)), hex(struct.pack('H', 65536)), hex(struct.pack('i', "
     "1e10))",
     "true 2c ff 0000 00e40b54"},
    {"return hex(struct.pack('i', 1.9)), hex(struct.pack('i', -1.9)), hex(struct.pack('b', '7')), hex(struct.pack('b', "
     "'0x10'))",
     "true 01000000 ffffffff 07 10"},
    {"return hex(struct.pack('>hilT', 1, 2, 3, 4)), hex(struct.pack('<h>h<h', 1, 1, 1))",
     "true 00010000000200000000000000030000000000000004 010000010100"},
    {"return hex(struct.pack('fd', 1.5, -2.25)), hex(struct.pack('>f>d', 1.5, -2.25)), hex(struct.pack('f', 1e300))",
     "true 0000c03f00000000000002c0 3fc00000c002000000000000 0000807f"},
    {"return hex(struct.pack('d', 0/0)), hex(struct.pack('d', -1/0)), hex(struct.pack('f', 1/0)), hex(struct.pack('d', "
     "-0.0))",
     "true 000000000000f8ff 000000000000f0ff 0000807f 0000000000000000"},
    {"return hex(struct.pack('s', 'abc')), hex(struct.pack('s', '')), hex(struct.pack('s', 'a\\0b')), "
     "hex(struct.pack('s', 12))",
     "true 61626300 00 61006200 313200"},
    {"return hex(struct.pack('c3', 'abcdef')), hex(struct.pack('c0', 'abc')), hex(struct.pack('c', 'abc')), "
     "hex(struct.pack('c0c0', 'a', ''))",
     "true 616263 616263 61 61"},
    {"return hex(struct.pack('x')), hex(struct.pack('bxxb', 1, 2)), hex(struct.pack('')), hex(struct.pack(' b b ', 1, "
     "2))",
     "true 00 01000002  0102"},
    {"return hex(struct.pack('i1i2i3i4', 1, 2, 3, 4)), hex(struct.pack('>i3', 258)), hex(struct.pack('I3', 16777217)), "
     "hex(struct.pack('i0', 5))",
     "true 01020003000004000000 000102 010000 "},
    {"return hex(struct.pack('i8', -1)), hex(struct.pack('i9', -2)), hex(struct.pack('>i9', -2)), "
     "hex(struct.pack('i16', -1)), hex(struct.pack('>i32', -3))",
     "true ffffffffffffffff feffffffffffffff00 00fffffffffffffffe ffffffffffffffff0000000000000000 "
     "000000000000000000000000000000000000000000000000fffffffffffffffd"},
    {"return hex(struct.pack('L', -1e20)), hex(struct.pack('L', 1/0)), hex(struct.pack('L', 0/0)), "
     "hex(struct.pack('l', -1/0)), hex(struct.pack('L', 1e19)), hex(struct.pack('L', 2^64)), hex(struct.pack('L', "
     "2^63)), hex(struct.pack('l', -2^63))",
     "true 0000000000000080 0000000000000000 0000000000000080 0000000000000080 0000e8890423c78a 0000000000000000 "
     "0000000000000080 0000000000000080"},
    {"return hex(struct.pack('!bh', 1, 2)), hex(struct.pack('!bl', 1, 2)), hex(struct.pack('!4bl', 1, 2)), "
     "hex(struct.pack('!1bl', 1, 2)), hex(struct.pack('!2bi', 1, 2))",
     "true 01000200 01000000000000000200000000000000 010000000200000000000000 010200000000000000 010002000000"},
    {"return hex(struct.pack('!bi16', 1, 2)), hex(struct.pack('!16bi16', 1, 2)), hex(struct.pack('!4bi3', 1, 2)), "
     "hex(struct.pack('!8bi5', 1, 2)), hex(struct.pack('!8bi6', 1, 2)), hex(struct.pack('!32bi7', 1, 2))",
     "true 010000000000000002000000000000000000000000000000 "
     "0100000000000000000000000000000002000000000000000000000000000000 010000020000 01000000000200000000 "
     "010000000000020000000000 0100000000000002000000000000"},
    {"return hex(struct.pack('!4bc3h', 1, 'abc', 2)), hex(struct.pack('!4sbi', 'a', 1, 2)), hex(struct.pack('!8dbd', "
     "1, 2, 3)), hex(struct.pack('b!4i!1bi', 1, 2, 3, 4)), hex(struct.pack('!4bxh', 1, 2))",
     "true 016162630200 6100010002000000 000000000000f03f02000000000000000000000000000840 01000000020000000304000000 "
     "01000200"},
    {"return struct.pack('i33', 1)", "false user_script:1: integral size 33 is larger than limit of 32"},
    {"return struct.pack('I99', 1)", "false user_script:1: integral size 99 is larger than limit of 32"},
    {"return struct.pack('i2147483647', 1)",
     "false user_script:1: integral size 2147483647 is larger than limit of 32"},
    {"return struct.pack('i2147483648', 1)", "false user_script:1: integral size overflow"},
    {"return struct.pack('c99999999999999999999', 'a')", "false user_script:1: integral size overflow"},
    {"return struct.pack('!3b', 1)", "false user_script:1: alignment 3 is not a power of 2"},
    {"return struct.pack('!0b', 1)", "false user_script:1: alignment 0 is not a power of 2"},
    {"return struct.pack('!33b', 1)", "false user_script:1: alignment 33 is not a power of 2"},
    {"return struct.pack('!2147483648b', 1)", "false user_script:1: integral size overflow"},
    {"return struct.pack('q', 1)", "false user_script:1: bad argument #1 to 'pack' (invalid format option 'q')"},
    {"return struct.pack('=b', 1)", "false user_script:1: bad argument #1 to 'pack' (invalid format option '=')"},
    {"return struct.pack('b,b', 1, 2)", "false user_script:1: bad argument #1 to 'pack' (invalid format option ',')"},
    {"return struct.pack('i 4', 1)", "false user_script:1: bad argument #1 to 'pack' (invalid format option '4')"},
    {"return struct.pack('c-1', 'a')", "false user_script:1: bad argument #1 to 'pack' (invalid format option '-')"},
    {"return struct.pack('b')", "false user_script:1: bad argument #2 to 'pack' (number expected, got nil)"},
    {"return struct.pack('bb', 1)", "false user_script:1: bad argument #3 to 'pack' (number expected, got nil)"},
    {"return struct.pack('sbb', 'a', 1)", "false user_script:1: bad argument #4 to 'pack' (number expected, got nil)"},
    {"return struct.pack('b', 'x')", "false user_script:1: bad argument #2 to 'pack' (number expected, got string)"},
    {"return struct.pack('b', {})", "false user_script:1: bad argument #2 to 'pack' (number expected, got table)"},
    {"return struct.pack('s')", "false user_script:1: bad argument #2 to 'pack' (string expected, got nil)"},
    {"return struct.pack('s', {})", "false user_script:1: bad argument #2 to 'pack' (string expected, got table)"},
    {"return struct.pack('c3', 'ab')", "false user_script:1: bad argument #3 to 'pack' (string too short)"},
    {"return struct.pack('bc2147483647', 1, 'ab')",
     "false user_script:1: bad argument #4 to 'pack' (string too short)"},
    {"return struct.pack('i0')", "false user_script:1: bad argument #2 to 'pack' (number expected, got nil)"},
    {"return struct.pack()", "false user_script:1: bad argument #1 to 'pack' (string expected, got no value)"},
    {"return struct.pack({})", "false user_script:1: bad argument #1 to 'pack' (string expected, got table)"},
    {"return hex(struct.pack('b', 1, 2, {})), hex(struct.pack('b\\0q', 1))", "true 01 01"},
    {"return #struct.pack(string.rep('x', 100000)), #struct.pack(string.rep('!8bl', 1000), unpack((function() local t "
     "= {} for i = 1, 2000 do t[i] = i end return t end)()))",
     "true 100000 16000"},
    {"return struct.unpack('bBhH', '\\255\\255\\255\\255\\255\\255')", "true -1 255 -1 65535 7"},
    {"return struct.unpack('iIlL', string.rep('\\255', 24))", "true -1 4294967295 -1 1.8446744073709552e+19 25"},
    {"return struct.unpack('T', string.rep('\\255', 8))", "true 1.8446744073709552e+19 9"},
    {"return struct.unpack('>h<h>i', '\\1\\2\\1\\2\\1\\2\\3\\4')", "true 258 513 16909060 9"},
    {"return struct.unpack('fd', '\\0\\0\\192\\63\\0\\0\\0\\0\\0\\0\\2\\192')", "true 1.5 -2.25 13"},
    {"return struct.unpack('>f>d', '\\63\\192\\0\\0\\192\\2\\0\\0\\0\\0\\0\\0')", "true 1.5 -2.25 13"},
    {"return struct.unpack('i3I3i5I5', string.rep('\\255', 16))", "true -1 16777215 -1 1099511627775 17"},
    {"return struct.unpack('i7', string.rep('\\255', 6) .. '\\127')", "true 36028797018963968 8"},
    {"return struct.unpack('i9', '\\128' .. string.rep('\\0', 8))", "true -128 10"},
    {"return struct.unpack('i9', '\\0\\1' .. string.rep('\\0', 7))", "true -128 10"},
    {"return struct.unpack('i10', '\\0\\128' .. string.rep('\\0', 7) .. '\\255')", "true -32768 11"},
    {"return struct.unpack('i16', string.rep('\\0', 7) .. '\\128' .. string.rep('\\0', 8))",
     "true -9.2233720368547758e+18 17"},
    {"return struct.unpack('i17I9', '\\128' .. string.rep('\\0', 16) .. string.rep('\\255', 9))",
     "true -128 1.8446744073709552e+19 27"},
    {"return struct.unpack('>i16', string.rep('\\0', 8) .. string.rep('\\255', 8))", "true -1 17"},
    {"return struct.unpack('>i16', string.rep('\\255', 8) .. string.rep('\\0', 8))", "true 0 17"},
    {"return struct.unpack('i8L', '\\0\\0\\0\\0\\0\\0\\0\\128\\0\\0\\0\\0\\0\\0\\0\\128')",
     "true -9.2233720368547758e+18 9.2233720368547758e+18 17"},
    {"return struct.unpack('i0b', '\\5')", "true 0 5 2"},
    {"return struct.unpack('sb', 'ab\\0\\7')", "true ab 7 5"},
    {"return struct.unpack('s', '\\0')", "true  2"},
    {"return struct.unpack('s', 'ab')", "false user_script:1: unfinished string in data"},
    {"return struct.unpack('s', '')", "false user_script:1: unfinished string in data"},
    {"return struct.unpack('c3cc2', 'abcdef')", "true abc d ef 7"},
    {"return struct.unpack('Bc0b', '\\3abc\\7')", "true abc 7 6"},
    {"return struct.unpack('bc0c0', '\\1' .. '23a')", "true 3a 5"},
    {"return struct.unpack('dc0', '\\0\\0\\0\\0\\0\\0\\8\\64abc')", "true abc 12"},
    {"return struct.unpack('fc0', '\\0\\0\\192\\63abc')", "true a 6"},
    {"return struct.unpack('sc0', '2\\0abc')", "true ab 5"},
    {"return struct.unpack('Lc0', string.rep('\\255', 8) .. 'a')", "true  9"},
    {"return struct.unpack('Bc0', '\\0')", "true  2"},
    {"return struct.unpack('Bc0', '\\4abc')",
     "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('bc0', '\\255abc')",
     "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('c0', '1')", "false user_script:1: format 'c0' needs a previous size"},
    {"return struct.unpack('c0', 'abc', 1)", "false user_script:1: format 'c0' needs a previous size"},
    {"return struct.unpack('xc0', '\\0a')", "false user_script:1: format 'c0' needs a previous size"},
    {"return struct.unpack('sc0', 'a\\0b')", "false user_script:1: format 'c0' needs a previous size"},
    {"return struct.unpack('Bc0c0', '\\1a')", "false user_script:1: format 'c0' needs a previous size"},
    {"return struct.unpack('xbx', '\\0\\5\\0')", "true 5 4"},
    {"return struct.unpack('!bi', '\\1\\0\\0\\0\\2\\0\\0\\0')", "true 1 2 9"},
    {"return struct.unpack('!bi', '\\1\\0\\0\\0\\2\\0\\0')",
     "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('!8bl', '\\1')", "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('!4b!i', '\\1')",
     "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('b', '\\1\\2', 2)", "true 2 3"},
    {"return struct.unpack('b', '\\1\\2', 3)",
     "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('b', '\\1\\2', 0)",
     "false user_script:1: bad argument #3 to 'unpack' (offset must be 1 or greater)"},
    {"return struct.unpack('b', '\\1\\2', -1)",
     "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('', '\\1\\2', -1)", "true -1"},
    {"return struct.unpack('', '\\1\\2', 99)", "true 99"},
    {"return struct.unpack('<', '\\1\\2', 99)",
     "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('s', '\\1\\0', -1)",
     "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('s', '\\0', 2)", "false user_script:1: unfinished string in data"},
    {"return struct.unpack('b', '\\1\\2', 2^31)",
     "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('i4', '\\1\\0\\0\\0', 2^53)",
     "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('b', '\\1\\2', 1.5)", "true 1 2"},
    {"return struct.unpack('b', '\\1\\2', 'x')",
     "false user_script:1: bad argument #3 to 'unpack' (number expected, got string)"},
    {"return struct.unpack('b', '\\1\\2', nil)", "true 1 2"},
    {"return struct.unpack('b', '\\1\\2', 1, 7)", "true 1 2"},
    {"return struct.unpack('b')", "false user_script:1: bad argument #2 to 'unpack' (string expected, got no value)"},
    {"return struct.unpack('b', {})", "false user_script:1: bad argument #2 to 'unpack' (string expected, got table)"},
    {"return struct.unpack('bb', '\\1')", "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('c2147483647', '')",
     "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('c2147483648', '')", "false user_script:1: integral size overflow"},
    {"return struct.unpack('i33', '')", "false user_script:1: integral size 33 is larger than limit of 32"},
    {"return struct.unpack('!3', '')", "false user_script:1: alignment 3 is not a power of 2"},
    {"return struct.unpack('!3', '', 9)", "false user_script:1: bad argument #2 to 'unpack' (data string too short)"},
    {"return struct.unpack('q', '')", "false user_script:1: bad argument #1 to 'unpack' (invalid format option 'q')"},
    {"return struct.unpack('=', '')", "false user_script:1: bad argument #1 to 'unpack' (invalid format option '=')"},
    {"return struct.unpack(string.rep('b', 9000), string.rep('a', 9000))",
     "false user_script:1: stack overflow (too many results)"},
    {"return select('#', struct.unpack(string.rep('b', 5000), string.rep('a', 5000)))", "true 5001"},
    {"return struct.size('b'), struct.size('h'), struct.size('i'), struct.size('l'), struct.size('T'), "
     "struct.size('f'), struct.size('d'), struct.size('x'), struct.size('c'), struct.size('c5'), struct.size('i32'), "
     "struct.size('i0')",
     "true 1 2 4 8 8 4 8 1 1 5 32 0"},
    {"return struct.size('bi'), struct.size('!bi'), struct.size('!4bl'), struct.size('!8bd'), struct.size('!4c5i'), "
     "struct.size('!16bi16'), struct.size('!b!i'), struct.size(''), struct.size('<> !')",
     "true 5 8 12 16 12 32 8 0 0"},
    {"return struct.size('c2147483647c2147483647x'), struct.size('!8c2147483647l'), struct.size('q'), "
     "struct.size('bqb'), struct.size('i 4')",
     "true 4294967295 2147483656 0 2 4"},
    {"return struct.size('s')", "false user_script:1: bad argument #1 to 'size' (option 's' has no fixed size)"},
    {"return struct.size('c0')", "false user_script:1: bad argument #1 to 'size' (option 'c0' has no fixed size)"},
    {"return struct.size('i33')", "false user_script:1: integral size 33 is larger than limit of 32"},
    {"return struct.size('!3b')", "false user_script:1: alignment 3 is not a power of 2"},
    {"return struct.size('=')", "false user_script:1: bad argument #1 to 'size' (invalid format option '=')"},
    {"return struct.size('c2147483648')", "false user_script:1: integral size overflow"},
    {"return struct.size()", "false user_script:1: bad argument #1 to 'size' (string expected, got no value)"},
    {"local o = {} for k, v in pairs(struct) do o[#o + 1] = k end table.sort(o) return unpack(o)",
     "true pack size unpack"},
};

static void formats_give_what_redis_gives(void **state) {
    (void)state;
    lab_compare(lines, sizeof lines / sizeof *lines);
}

struct pair {
    char format[400], values[1000]; /* what struct.pack takes */
    int count;
    bool fixed; /* the format tells its size */
};

static void add_format(struct pair *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t len = strlen(p->format);
    vsnprintf(p->format + len, sizeof p->format - len, format, args);
    va_end(args);
}

static void add_value(struct pair *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t len = strlen(p->values);
    vsnprintf(p->values + len, sizeof p->values - len, format, args);
    va_end(args);
    p->count++;
}

static void add_integer(struct pair *p) {
    unsigned bytes = 1 + (unsigned)rand_below(6);
    int64_t n = (int64_t)(rand_u64() >> (64 - 8 * bytes));
    bool is_signed = rand_below(2);
    if (is_signed) n -= (int64_t)1 << (8 * bytes - 1);
    add_format(p, "%c%u", is_signed ? 'i' : 'I', bytes);
    add_value(p, ", %" PRId64, n);
}

static void add_string(struct pair *p) {
    unsigned len = (unsigned)rand_below(20);
    static const char text[] = "abcdefghijklmnopqrstuvwxyz";
    p->fixed = false;
    add_format(p, "s");
    add_value(p, ", '%.*s'", (int)len, text + rand_below(6));
}

static void add_item(struct pair *p) {
    switch (rand_below(8)) {
    case 0: add_format(p, "%c", "<> "[rand_below(3)]); break;
    case 1: add_format(p, "!%u", 1u << rand_below(5)); break;
    case 2: add_format(p, "x"); break;
    case 3: add_string(p); break;
    case 4:
        add_format(p, "d");
        add_value(p, ", %.17g", (double)(int64_t)rand_u64() / 1e9);
        break;
    case 5:
        add_format(p, "f");
        add_value(p, ", %.17g", (double)(float)((double)(int64_t)rand_u64() / 1e9));
        break;
    default: add_integer(p);
    }
}

static void check_there_and_back(lua_State *L, const struct pair *p) {
    char script[5000];
    snprintf(script, sizeof script,
             "local format, given = '%s', {n = %d%s} local packed = struct.pack(format%s) "
             "local got = {struct.unpack(format, packed)} "
             "for i = 1, given.n do if got[i] ~= given[i] then return 'value ' .. i .. ' differs' end end "
             "if got[given.n + 1] ~= #packed + 1 or #got ~= given.n + 1 then return 'the end differs' end "
             "if %s and struct.size(format) ~= #packed then return 'the size differs' end return 'good'",
             p->format, p->count, p->values, p->values, p->fixed ? "true" : "false");
    lab_expect(L, script, "good");
}

/* Cut the data anywhere: an error, or values of what is there, but no read behind the end (the sanitizer tells). */
static void check_cut(lua_State *L, const struct pair *p) {
    char script[5000];
    snprintf(
        script, sizeof script,
        "local packed = struct.pack('%s'%s) for i = 0, #packed do pcall(struct.unpack, '%s', packed:sub(1, i)) end "
        "return 'good'",
        p->format, p->values, p->format);
    lab_expect(L, script, "good");
}

static void random_formats_go_there_and_back(void **state) {
    (void)state;
    lab_seed();
    lua_State *L = lab_open();
    for (int i = 0; i < 3000; i++) {
        struct pair p = {.fixed = true};
        for (int left = 1 + (int)rand_below(12); left > 0; left--)
            add_item(&p);
        check_there_and_back(L, &p);
        if (i % 10 == 0) check_cut(L, &p);
    }
    lab_close(L);
}

/* Any text as a format and any bytes as data. */
static void random_bytes_as_formats_are_safe(void **state) {
    (void)state;
    lua_State *L = lab_open();
    for (int i = 0; i < 20000; i++) {
        char format[12], data[20], script[400], *out = script;
        for (size_t k = 0; k < sizeof format; k++)
            format[k] = "bBhHlLTiIfdsxc<>! 0123456789q="[rand_below(30)];
        for (size_t k = 0; k < sizeof data; k++)
            data[k] = (char)rand_below(rand_below(2) ? 3 : 256);
        out += sprintf(out, "local data = '");
        for (size_t k = 0; k < sizeof data; k++)
            out += sprintf(out, "\\%03u", (unsigned char)data[k]);
        sprintf(out, "' local f = '%.12s' pcall(struct.size, f) pcall(struct.unpack, f, data, %d) return 'good'",
                format, (int)rand_below(24) - 2);
        lab_expect(L, script, "good");
    }
    lab_close(L);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_give_what_redis_gives),
        cmocka_unit_test(random_formats_go_there_and_back),
        cmocka_unit_test(random_bytes_as_formats_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
