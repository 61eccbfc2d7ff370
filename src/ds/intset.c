/* See intset.h for the format. A search halves the range without a branch that depends on the numbers: a predictor
 * would be wrong every second time. */
#include "ds/intset.h"
#include <assert.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "integers are copied as they lie in memory");

static void put_head(uint8_t *set, size_t width, size_t count) {
    assert(count <= UINT32_MAX);
    uint32_t head[2] = {(uint32_t)width, (uint32_t)count};
    memcpy(set, head, sizeof head);
}

void intset_init(uint8_t *set) {
    put_head(set, 2, 0);
}

static size_t number_width(int64_t number) {
    return number >= INT16_MIN && number <= INT16_MAX ? 2 : number >= INT32_MIN && number <= INT32_MAX ? 4 : 8;
}

static uint8_t *number_address(uint8_t *set, size_t index) {
    return set + INTSET_HEAD + index * intset_width(set);
}

/* How many integers are smaller than `number`. The number of steps depends on n alone. The mask replaces a choice of
 * pointers, which gcc would turn into a branch. There is a search for each width, so that the loads in the loop have a
 * known size. */
#define SEARCH(name, type)                                               \
    static size_t name(const uint8_t *first, size_t n, int64_t number) { \
        const uint8_t *low = first;                                      \
        type probe;                                                      \
        while (n > 0) {                                                  \
            size_t half = (n + 1) / 2 * sizeof probe;                    \
            memcpy(&probe, low + half - sizeof probe, sizeof probe);     \
            low += half & -(size_t)(probe < number);                     \
            n /= 2;                                                      \
        }                                                                \
        return (size_t)(low - first) / sizeof probe;                     \
    }
SEARCH(search_narrow, int16_t)
SEARCH(search_middle, int32_t)
SEARCH(search_wide, int64_t)

bool intset_find(const uint8_t *set, int64_t number, size_t *index) {
    size_t count = intset_count(set), at, width = intset_width(set);
    const uint8_t *first = set + INTSET_HEAD;
    at = width == 2   ? search_narrow(first, count, number)
         : width == 4 ? search_middle(first, count, number)
                      : search_wide(first, count, number);
    if (index) *index = at;
    return at < count && intset_get(set, at) == number;
}

size_t intset_bytes_with(const uint8_t *set, int64_t number) {
    size_t width = number_width(number);
    if (width < intset_width(set)) width = intset_width(set);
    return INTSET_HEAD + (intset_count(set) + 1) * width;
}

static void put_number(uint8_t *set, size_t index, int64_t number) {
    memcpy(number_address(set, index), &number, intset_width(set)); /* its low bytes */
}

/* A number too wide for the set is smaller or larger than all in it. They are widened from the last to the first, since
 * they move up, and one place further if the new number becomes the first. */
static void insert_wider(uint8_t *set, int64_t number, size_t width) {
    size_t count = intset_count(set), shift = number < 0;
    for (size_t i = count; i-- > 0;) {
        int64_t old = intset_get(set, i);
        memcpy(set + INTSET_HEAD + (i + shift) * width, &old, width);
    }
    put_head(set, width, count + 1);
    put_number(set, shift ? 0 : count, number);
}

bool intset_insert(uint8_t *set, int64_t number) {
    size_t width = number_width(number), index;
    if (width > intset_width(set)) {
        insert_wider(set, number, width);
        return true;
    }
    if (intset_find(set, number, &index)) return false;
    size_t count = intset_count(set);
    width = intset_width(set);
    memmove(number_address(set, index + 1), number_address(set, index), (count - index) * width);
    put_head(set, width, count + 1);
    put_number(set, index, number);
    return true;
}

void intset_remove_at(uint8_t *set, size_t index, size_t n) {
    size_t count = intset_count(set), width = intset_width(set);
    assert(index <= count && n <= count - index);
    memmove(number_address(set, index), number_address(set, index + n), (count - index - n) * width);
    put_head(set, width, count - n);
}

bool intset_remove(uint8_t *set, int64_t number) {
    size_t index;
    if (!intset_find(set, number, &index)) return false;
    intset_remove_at(set, index, 1);
    return true;
}

bool intset_check(const uint8_t *set, size_t bytes) {
    if (bytes < INTSET_HEAD) return false;
    uint32_t width;
    memcpy(&width, set, sizeof width);
    if (width != 2 && width != 4 && width != 8) return false;
    size_t count = intset_count(set);
    if ((bytes - INTSET_HEAD) % width != 0 || (bytes - INTSET_HEAD) / width != count) return false;
    for (size_t i = 1; i < count; i++)
        if (intset_get(set, i - 1) >= intset_get(set, i)) return false;
    return true;
}
