/* The title: the text by which ps shows the process, made from proc-title-template. */
#pragma once

/* Call first in main: moves argv and the environment elsewhere, because the title is written over them. */
void title_init(int argc, char **argv);
/* In a forked child: {title} is this name from now on. It is copied. */
void title_set_program(const char *name);
