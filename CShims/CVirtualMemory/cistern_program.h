// The calls of the table that start programs; cistern_os.h has their contract.
#ifndef CISTERN_PROGRAM_H
#define CISTERN_PROGRAM_H

#include "cistern_os.h"

int cistern_program_find(void *_Nullable context, const cistern_program *_Nonnull program);
int cistern_program_replace(void *_Nullable context, const cistern_program *_Nonnull program);
int cistern_program_start(void *_Nullable context, const cistern_program *_Nonnull program, int32_t *_Nonnull identifier);
int cistern_program_wait(void *_Nullable context, int32_t identifier, cistern_program_end *_Nonnull end);

#endif
