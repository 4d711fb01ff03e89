/* What a fog or the cloud may say to a node, with the marks and documents inside. */
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void bodies(struct wire_arena *arena, const Fogline__V1__State *s)
{
    Fogline__V1__MarkBody *mark;
    Fogline__V1__NodeList *nodes;
    Fogline__V1__Command *command;
    struct interval_set set = {0};
    size_t i;

    for (i = 0; i < s->n_marks; i++)
        if (wire_mark_body_unpack(arena, wire_span(s->marks[i]->body), &mark) == 0 &&
            wire_bounds_add_to(&set, mark->archived, mark->n_archived) == 0)
            (void)!wire_bounds_add_to(&set, mark->explained, mark->n_explained);
    for (i = 0; i < s->n_lanes; i++)
        (void)!wire_bounds_add_to(&set, s->lanes[i]->stored, s->lanes[i]->n_stored);
    for (i = 0; i < s->n_documents; i++) {
        (void)!wire_node_list_unpack(arena, wire_span(s->documents[i]->body), &nodes);
        (void)!wire_command_unpack(arena, wire_span(s->documents[i]->body), &command);
    }
    interval_set_deinit(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire_arena *arena;
    Fogline__V1__Down *down;
    Fogline__V1__MarkBody *mark;
    Fogline__V1__NodeList *nodes;
    Fogline__V1__Command *command;
    Fogline__V1__Document *document;
    struct span bytes = span_of(data, size);

    if (arena == NULL && wire_arena_new(&arena, WIRE_ARENA_BYTES) < 0)
        return 0;
    wire_arena_reset(arena);
    if (wire_down_unpack(arena, bytes, &down) == 0)
        bodies(arena, down->state);
    wire_arena_reset(arena);
    (void)!wire_mark_body_unpack(arena, bytes, &mark);
    (void)!wire_node_list_unpack(arena, bytes, &nodes);
    (void)!wire_command_unpack(arena, bytes, &command);
    (void)!wire_document_unpack(arena, bytes, &document);
    return 0;
}
