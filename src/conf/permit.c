/* See permit.h. */
#include "conf/permit.h"
#include <stddef.h>

const struct option_name permit_names[] = {{"no", PERMIT_NO}, {"yes", PERMIT_YES}, {"local", PERMIT_LOCAL}, {NULL, 0}};
