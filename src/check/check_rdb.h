/* kura-check-rdb: reads a snapshot, kura's or Redis's, and says whether it is sound and what is in it. Exits with 0 if it
 * is, with 1 if not. Arguments and the form of what it prints are redis-check-rdb's, as far as that prints something. */
#pragma once

int check_rdb_main(int argc, char **argv);
