/* Glob matching in Redis's dialect.
 *
 * Every element except '*' takes exactly one byte of text. So if an element fails, only the last star must be retried,
 * one byte further on: whatever an earlier star could reach, the last one reaches too. That is the whole algorithm,
 * with two positions to remember and no stack.
 *
 * Facts of the dialect that are easy to get wrong, all of them tested:
 *   - only the empty pattern matches the empty text; "*" does not;
 *   - a class may be left open at the end of the pattern; "[" matches nothing, "[^" any byte;
 *   - "[]" is an empty class, not a class that begins with ']';
 *   - a range takes any byte as its end, even ']', in either order, and compares signed chars;
 *   - inside a class an escaped byte is compared exactly, even if case is ignored;
 *   - a backslash at the end of the pattern stands for itself;
 *   - a match that needs more than STARS_MAX stars, not counting one at the end of the pattern, fails: Redis 7.2.6
 *     bounds the cost of a hostile pattern in this way. */
#include "base/glob.h"

#define STARS_MAX 1000

static signed char fold(char c, bool nocase) {
    return (signed char)(nocase && c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* The class that begins behind '[' at p. Returns the position behind it and sets *matched. */
static size_t match_class(struct slice pattern, size_t p, char c, bool nocase, bool *matched) {
    const char *s = pattern.ptr;
    bool negated = p < pattern.len && s[p] == '^', in = false;
    if (negated) p++;
    while (p < pattern.len && s[p] != ']') {
        size_t left = pattern.len - p;
        if (s[p] == '\\' && left >= 2) {
            if (s[p + 1] == c) in = true;
            p += 2;
        } else if (left >= 3 && s[p + 1] == '-') {
            signed char low = (signed char)s[p], high = (signed char)s[p + 2];
            if (low > high) {
                signed char swap = low;
                low = high;
                high = swap;
            }
            signed char folded = fold(c, nocase);
            if (folded >= fold((char)low, nocase) && folded <= fold((char)high, nocase)) in = true;
            p += 3;
        } else {
            if (fold(s[p], nocase) == fold(c, nocase)) in = true;
            p++;
        }
    }
    *matched = in != negated;
    return p < pattern.len ? p + 1 : p;
}

/* One element other than '*'. Returns the position behind it and sets *matched. */
static size_t match_one(struct slice pattern, size_t p, char c, bool nocase, bool *matched) {
    switch (pattern.ptr[p]) {
    case '?': *matched = true; return p + 1;
    case '[': return match_class(pattern, p + 1, c, nocase, matched);
    case '\\':
        if (p + 1 < pattern.len) p++;
        break;
    default: break;
    }
    *matched = fold(pattern.ptr[p], nocase) == fold(c, nocase);
    return p + 1;
}

static bool glob_match_folded(struct slice pattern, struct slice text, bool nocase) {
    if (text.len == 0) return pattern.len == 0;
    size_t p = 0, t = 0;
    int stars = 0;
    size_t star_p = 0, star_t = 0; /* the position behind the last star; where its text ended */
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            while (p < pattern.len && pattern.ptr[p] == '*')
                p++;
            if (p == pattern.len) return true;
            if (++stars > STARS_MAX) return false;
            star_p = p;
            star_t = t;
            continue;
        }
        bool matched = false;
        if (p < pattern.len) p = match_one(pattern, p, text.ptr[t], nocase, &matched);
        if (matched) {
            t++;
        } else {
            if (stars == 0) return false;
            p = star_p;
            t = ++star_t;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

bool glob_match(struct slice pattern, struct slice text) {
    return glob_match_folded(pattern, text, false);
}

bool glob_match_nocase(struct slice pattern, struct slice text) {
    return glob_match_folded(pattern, text, true);
}

bool glob_is_all(struct slice pattern) {
    return pattern.len == 1 && pattern.ptr[0] == '*';
}
