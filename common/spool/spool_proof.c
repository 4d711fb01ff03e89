/* The proof file, 128 bytes, rewritten in one pwrite after each commit, never synced: it is to die with the
 * boot.
 *
 *   0 magic[8]  8 boot id[16]  24 device le64  32 inode le64  40 epoch[16]  56 store id[16]  72 last commit
 * le64 80 next le64 per lane  96 zero[24]  120 sum[8]
 *
 * A process killed inside the pwrite leaves the old or the new content (one page of the page cache). */
#include "spool/spool.h"

#include "spool/checksum.h"
#include "spool/spool_private.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROOF_BYTES = 128, PROOF_SUMMED_BYTES = PROOF_BYTES - CHECKSUM_BYTES };
static const char proof_magic[8 + 1] = "FOGPROOF";

static void proof_sum(const uint8_t row[PROOF_BYTES], uint8_t sum[CHECKSUM_BYTES])
{
    static const struct id128 none;
    struct checksum c;

    checksum_init(&c, &none);
    checksum_make(&c, span_of(proof_magic, 8), span_of(row, PROOF_SUMMED_BYTES), sum);
}

static struct spool_proof proof_now(const struct spool *sp)
{
    struct spool_proof p = {.boot_id = sp->boot_id,
                            .epoch = sp->own->s.epoch,
                            .store_id = sp->store_id,
                            .device = sp->device,
                            .inode = sp->inode,
                            .last_commit = db_last_commit(sp->db)};
    unsigned i;

    for (i = 0; i < SPOOL_LANES; i++)
        p.next[i] = sp->own->s.lane[i].next;
    return p;
}

static void proof_fill(uint8_t row[PROOF_BYTES], const struct spool_proof *p)
{
    unsigned i;

    memset(row, 0, PROOF_BYTES);
    memcpy(row, proof_magic, 8);
    memcpy(row + 8, p->boot_id.bytes, ID128_BYTES);
    store_le64(row + 24, p->device);
    store_le64(row + 32, p->inode);
    memcpy(row + 40, p->epoch.bytes, ID128_BYTES);
    memcpy(row + 56, p->store_id.bytes, ID128_BYTES);
    store_le64(row + 72, p->last_commit);
    for (i = 0; i < SPOOL_LANES; i++)
        store_le64(row + 80 + 8 * i, p->next[i]);
    proof_sum(row, row + PROOF_SUMMED_BYTES);
}

static bool proof_read(int fd, struct spool_proof *ret_p)
{
    uint8_t row[PROOF_BYTES], sum[CHECKSUM_BYTES];
    unsigned i;

    if (pread(fd, row, sizeof row, 0) != (ssize_t)sizeof row || memcmp(row, proof_magic, 8) != 0)
        return false;
    proof_sum(row, sum);
    if (memcmp(sum, row + PROOF_SUMMED_BYTES, sizeof sum) != 0)
        return false;
    memcpy(ret_p->boot_id.bytes, row + 8, ID128_BYTES);
    ret_p->device = load_le64(row + 24);
    ret_p->inode = load_le64(row + 32);
    memcpy(ret_p->epoch.bytes, row + 40, ID128_BYTES);
    memcpy(ret_p->store_id.bytes, row + 56, ID128_BYTES);
    ret_p->last_commit = load_le64(row + 72);
    for (i = 0; i < SPOOL_LANES; i++)
        ret_p->next[i] = load_le64(row + 80 + 8 * i);
    return true;
}

int spool_proof_open(struct spool *sp, const struct spool_options *o, struct errmsg *err)
{
    char data[PATH_MAX];
    struct stat st;
    int n;

    if (o->proof_path == NULL)
        return 0;
    n = snprintf(data, sizeof data, "%s/data.mdb", o->db.path);
    if (n < 0 || (size_t)n >= sizeof data)
        return errmsg_set(err, -ENAMETOOLONG, "%s: too long a path", o->db.path);
    if (stat(data, &st) < 0)
        return errmsg_set(err, -errno, "%s: %s", data, strerror(errno));
    sp->device = st.st_dev;
    sp->inode = st.st_ino;
    sp->boot_id = o->boot_id;
    sp->proof_fd = open(o->proof_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (sp->proof_fd < 0)
        return errmsg_set(
            err, -errno,
            "%s: cannot open the proof of continuity: %s; its folder has to exist and be writable",
            o->proof_path, strerror(errno));
    return 0;
}

bool spool_proof_holds(const struct spool *sp)
{
    struct spool_proof was, now;
    unsigned i;

    if (sp->proof_fd < 0 || id128_is_zero(&sp->boot_id) || !proof_read(sp->proof_fd, &was))
        return false;
    now = proof_now(sp);
    for (i = 0; i < SPOOL_LANES; i++)
        if (now.next[i] < was.next[i])
            return false;
    return id128_equal(&was.boot_id, &now.boot_id) && was.device == now.device && was.inode == now.inode &&
           id128_equal(&was.epoch, &now.epoch) && id128_equal(&was.store_id, &now.store_id) &&
           now.last_commit >= was.last_commit;
}

int spool_proof_write(struct spool *sp)
{
    uint8_t row[PROOF_BYTES];
    struct spool_proof p;

    if (sp->proof_fd < 0)
        return 0;
    p = proof_now(sp);
    proof_fill(row, &p);
    if (pwrite(sp->proof_fd, row, sizeof row, 0) == (ssize_t)sizeof row)
        return 0;
    /* A file that says too little would let an older copy pass. Without one the next start begins an epoch:
     * safe. */
    return ftruncate(sp->proof_fd, 0) < 0 ? -errno : 0;
}
