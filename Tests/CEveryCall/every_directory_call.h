// The part of every_call about directories.
#ifndef EVERY_DIRECTORY_CALL_H
#define EVERY_DIRECTORY_CALL_H

#ifdef __cplusplus
extern "C" {
#endif

void every_directory_call(void);

#ifdef __cplusplus
}
#endif
#endif
