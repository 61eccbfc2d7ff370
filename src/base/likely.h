/* Hints for the compiler where one side of a branch is rare: it is moved out of the way of the other. */
#pragma once

#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
