/* A report in lines of "name:value", each with CR LF: the form of INFO. Numbers are written without printf, since
 * monitoring asks for hundreds of them every second. */
#pragma once
#include "base/buf.h"

void report_int(struct buf *out, const char *name, int64_t value);
void report_text(struct buf *out, const char *name, const char *value);
/* value / 10^decimals, with a unit behind: 1234 with 2 decimals and "%" is "12.34%". */
void report_fixed(struct buf *out, const char *name, uint64_t value, int decimals, const char *unit);
/* part / whole with two decimals; "0.00" if whole is 0. */
void report_ratio(struct buf *out, const char *name, double part, double whole, const char *unit);
