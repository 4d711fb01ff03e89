/* letters.h - documents on their way from the cloud to single devices, kept until a newer one for the same
 * device comes.
 *
 * The fog cannot read them (sealed to the device) and does not judge them (the device checks the operator's
 * signature): it keeps the newest few of each kind and device and hands over what the device's Hello does not
 * claim to have. Memory only: the cloud gives them again while no reply is archived. Limits: LETTERS_MAX, the
 * lowest version makes room. Threads: one owner. */
#ifndef FOGLINE_FOG_LETTERS_H
#define FOGLINE_FOG_LETTERS_H

#include "base/bytes.h"
#include "wire/wire.h"

enum { LETTERS_MAX = 1024 };

/* Zero-initialised is empty. */
struct letters {
    struct letter *at; /* by version */
    size_t n;
};

void letters_deinit(struct letters *l);
/* Copies; one with the same kind, target and version is kept once. 0 or -ENOMEM. */
must_check int letters_put(struct letters *l, const Fogline__V1__Document *d);
/* For `device`, in order of version, those above what `hello` says is held. Copies in the arena; returns how
 * many. */
size_t letters_for(const struct letters *l, const char *device, const Fogline__V1__Hello *hello,
                   struct wire_arena *a, Fogline__V1__Document **out, size_t max);

#endif
