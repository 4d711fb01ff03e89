/* The interface is a table of functions whose order never changes (version 1 of it is asked for); those that
 * are called are named here by their places. */
#include "infer_peer.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

enum { API_VERSION = 1 };
enum {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    CREATE_SESSION_FROM_ARRAY = 8,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    SET_OPTIMIZATION = 23,
    SET_INTRA_OP_THREADS = 24,
    SET_INTER_OP_THREADS = 25,
    CREATE_TENSOR_WITH_DATA = 49,
    CREATE_CPU_MEMORY_INFO = 69,
};
enum { LOG_FATAL = 4, OPTIMIZE_ALL = 99, ALLOCATOR_DEVICE = 0, MEMORY_DEFAULT = 0, ELEMENT_FLOAT = 1 };

struct api_base {
    const void *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

typedef void *status; /* NULL: good */

typedef const char *error_message_fn(status s);
typedef status create_env_fn(int level, const char *name, void **ret);
typedef status create_session_fn(void *env, const void *model, size_t bytes, void *options, void **ret);
typedef status run_fn(void *session, const void *options, const char *const *names, const void *const *inputs,
                      size_t n_inputs, const char *const *output_names, size_t n_outputs, void **outputs);
typedef status create_options_fn(void **ret);
typedef status set_option_fn(void *options, int value);
typedef status create_memory_info_fn(int allocator, int memory, void **ret);
typedef status create_tensor_fn(void *memory_info, void *data, size_t bytes, const int64_t *shape,
                                size_t rank, int element, void **ret);

struct peer {
    void *const *api;
    const char *version;
    void *env, *options, *memory;
};

struct peer_session {
    const struct peer *peer;
    void *session, *x, *y;
};

static int check(const struct peer *p, status s, struct errmsg *err)
{
    if (s == NULL)
        return 0;
    return errmsg_set(err, -EINVAL, "ONNX Runtime: %s", ((error_message_fn *)p->api[GET_ERROR_MESSAGE])(s));
}

#define CALL(p, type, place, ...) check(p, ((type *)(p)->api[place])(__VA_ARGS__), err)

static int set_up(struct peer *p, struct errmsg *err)
{
    int r = CALL(p, create_env_fn, CREATE_ENV, LOG_FATAL, "bench", &p->env);

    if (r == 0)
        r = CALL(p, create_options_fn, CREATE_SESSION_OPTIONS, &p->options);
    if (r == 0)
        r = CALL(p, set_option_fn, SET_OPTIMIZATION, p->options, OPTIMIZE_ALL);
    if (r == 0)
        r = CALL(p, set_option_fn, SET_INTRA_OP_THREADS, p->options, 1);
    if (r == 0)
        r = CALL(p, set_option_fn, SET_INTER_OP_THREADS, p->options, 1);
    if (r == 0)
        r = CALL(p, create_memory_info_fn, CREATE_CPU_MEMORY_INFO, ALLOCATOR_DEVICE, MEMORY_DEFAULT,
                 &p->memory);
    return r;
}

int peer_open(const char *path, struct peer **ret, struct errmsg *err)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct api_base *(*get_base)(void);
    struct peer *p;

    if (library == NULL)
        return errmsg_set(err, -ENOENT, "%s", dlerror());
    *(void **)&get_base = dlsym(library, "OrtGetApiBase");
    if (get_base == NULL || get_base()->get_api(API_VERSION) == NULL)
        return errmsg_set(err, -ENOENT, "%s: no interface of ONNX Runtime in it", path);
    p = calloc(1, sizeof *p);
    if (p == NULL)
        return -ENOMEM;
    p->api = get_base()->get_api(API_VERSION);
    p->version = get_base()->get_version();
    *ret = p;
    return set_up(p, err);
}

const char *peer_version(const struct peer *p)
{
    return p->version;
}

int peer_session_new(struct peer *p, struct span model, size_t rank, const int64_t *shape, float *x,
                     size_t n_y, const int64_t y_shape[], size_t y_rank, float *y, struct peer_session **ret,
                     struct errmsg *err)
{
    struct peer_session *s = calloc(1, sizeof *s);
    size_t n_x = 1;
    int r;

    if (s == NULL)
        return -ENOMEM;
    s->peer = p;
    for (size_t i = 0; i < rank; i++)
        n_x *= (size_t)shape[i];
    r = CALL(p, create_session_fn, CREATE_SESSION_FROM_ARRAY, p->env, model.data, model.len, p->options,
             &s->session);
    if (r == 0)
        r = CALL(p, create_tensor_fn, CREATE_TENSOR_WITH_DATA, p->memory, x, n_x * sizeof *x, shape, rank,
                 ELEMENT_FLOAT, &s->x);
    if (r == 0)
        r = CALL(p, create_tensor_fn, CREATE_TENSOR_WITH_DATA, p->memory, y, n_y * sizeof *y, y_shape, y_rank,
                 ELEMENT_FLOAT, &s->y);
    *ret = s;
    return r;
}

int peer_run(struct peer_session *s, struct errmsg *err)
{
    static const char *const x_name[] = {"x"}, *const y_name[] = {"y"};
    const void *const inputs[] = {s->x};
    void *outputs[] = {s->y};

    return CALL(s->peer, run_fn, RUN, s->session, NULL, x_name, inputs, 1, y_name, 1, outputs);
}
