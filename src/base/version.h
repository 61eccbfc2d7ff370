/* The versions that this program reports: in the log, in INFO, in HELLO and in the files it writes. */
#pragma once

#define VERSION_REDIS "7.2.6" /* the Redis whose behaviour and file formats these are */
#define VERSION_KURA "0.1.0"
