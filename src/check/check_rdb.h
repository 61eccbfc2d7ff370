/* kura-check-rdb FILE: checks a snapshot of kura or Redis, and prints what it contains. Arguments and the form of the
 * output are those of redis-check-rdb; kura prints more. */
#pragma once

int check_rdb_main(int argc, char **argv); /* returns the exit status: 0 if the snapshot is valid, else 1 */
