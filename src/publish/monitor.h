/* MONITOR: a client that sends it becomes a monitor, which gets a line of text for every request that is executed. A
 * request costs O(monitors) then, and nothing while there are none. The command's rows are monitor_commands. */
#pragma once

extern const struct client_part monitor_part;
