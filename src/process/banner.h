/* What the server logs about itself when it starts: its version, and a picture or a line in its place. */
#pragma once
#include <stdbool.h>

/* `program` is argv[0]; `configured`: a configuration file or options were given. */
void banner_starting(const char *program, bool configured);
/* Log the picture if the log goes to a terminal or always-show-logo is set, else one line. */
void banner_show(void);
