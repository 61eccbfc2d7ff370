/* DEBUG's option; its command is in families.h. */
#pragma once
