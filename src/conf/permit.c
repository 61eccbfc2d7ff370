/* The names of the values, in the order in which an error lists them. */
#include "conf/permit.h"
#include <stddef.h>

const struct option_name permit_names[] = {{"no", PERMIT_NO}, {"yes", PERMIT_YES}, {"local", PERMIT_LOCAL}, {NULL, 0}};
