/* kura-check-aof [--fix | --truncate-to-timestamp SECONDS] FILE: looks through an append-only file, or through all that a
 * manifest names. Says and exits as redis-check-aof does. */
#pragma once

int check_aof_main(int argc, char **argv); /* returns the exit status */
