/* Loading the files of an append-only file, and deciding what to do about bad ones. For persist/aof.c. */
#pragma once
#include "persist/aof.h"
#include "persist/manifest.h"

bool aof_load_manifest(const char *name, struct manifest *m); /* an absent one is empty; false has been logged */
enum aof_load aof_load_files(const struct manifest *m, const struct aof_load_hooks *hooks);
/* Put what is behind the first `good` of `size` bytes of dir/name into a file beside it, and then cut it off. `aside` gets
 * that file's name. errno if false: nothing is lost then. */
bool aof_load_cut(const char *dir, const char *name, uint64_t good, char aside[600]);
