/* The subcommands of CLIENT about client-side caching. */
#pragma once

struct request;

void tracking_cmd_tracking(struct request *r);
void tracking_cmd_caching(struct request *r);
void tracking_cmd_getredir(struct request *r);
void tracking_cmd_trackinginfo(struct request *r);
