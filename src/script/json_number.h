/* Numbers in JSON: printed as "%.14g" prints them, and read as strtod() reads them, without either where a few
 * integer operations give the same result. */
#pragma once

#define JSON_NUMBER_MAX 32 /* bytes that json_print_number() can write (it needs 22) */

/* Print a finite value as printf's "%.<precision>g" does, precision 1 to 14. Returns the length. O(digits). */
int json_print_number(char *to, double value, int precision);
/* Read the number at `text`, which ends with a NUL byte. Returns the first byte behind it, or NULL if no number is
 * there. */
const char *json_read_number(const char *text, double *value);
