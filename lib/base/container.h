/* SPDX-License-Identifier: MIT */
/* From a struct that is embedded in another one to the one around it. */
#ifndef MSI_BASE_CONTAINER_H
#define MSI_BASE_CONTAINER_H

#include <stddef.h>

/* `at` points to the member `member` of a `type`; what it points to is that type. */
#define MSI_CONTAINER(at, type, member) ((type *)(void *)((char *)(at)-offsetof(type, member)))

#endif
