/* kura-check-aof [--fix | --truncate-to-timestamp SECONDS] FILE: checks an append-only file, or all files that a
 * manifest names. Output and exit status are those of redis-check-aof. */
#pragma once

int check_aof_main(int argc, char **argv); /* returns the exit status; after most failures it ends the process */
