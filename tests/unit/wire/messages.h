/* messages.h - one valid message of every kind, for tests to bend and for the golden captures. Everything
 * points into the struct; messages_init makes the same bytes each time. */
#ifndef FOGLINE_TESTS_WIRE_MESSAGES_H
#define FOGLINE_TESTS_WIRE_MESSAGES_H

#include "wire/wire.h"

enum { MESSAGES_RECORDS = 6, MESSAGES_PAYLOAD_BYTES = 1024 };

struct messages {
    Fogline__V1__Descriptor descriptors[4], *descriptor_list[4];
    Fogline__V1__DescriptorSet set;
    Fogline__V1__Cover cover, *cover_list[1];
    Fogline__V1__Block block;
    Fogline__V1__Event event;
    Fogline__V1__Counter counters[2], *counter_list[2];
    Fogline__V1__Reduced reduced, *reduced_list[1];
    Fogline__V1__Reductions reductions; /* newer than the captures: not in health */
    Fogline__V1__Health health;
    Fogline__V1__Ledger ledger;
    Fogline__V1__Reply reply;

    Fogline__V1__LaneReport lane_reports[2], *lane_report_list[2];
    Fogline__V1__EpochReport epoch_report, *epoch_report_list[1], ask, *ask_list[1];
    Fogline__V1__DocumentVersion document_version, *document_version_list[1];
    Fogline__V1__Clocks clocks;
    Fogline__V1__Hello hello;
    Fogline__V1__Up up_hello;

    Fogline__V1__Record records[MESSAGES_RECORDS], *record_list[MESSAGES_RECORDS];
    Fogline__V1__Stretch stretch, *stretch_list[1];
    Fogline__V1__Data data;
    Fogline__V1__Up up_data;

    Fogline__V1__Windows windows;
    Fogline__V1__LaneState lane_state, *lane_state_list[1];
    Fogline__V1__MarkBody mark_body;
    Fogline__V1__Mark mark, *mark_list[1];
    Fogline__V1__Document document, *document_list[1];
    Fogline__V1__State state;
    Fogline__V1__Down down;

    Fogline__V1__Node nodes[2], *node_list[2];
    Fogline__V1__NodeList node_list_body;
    Fogline__V1__Command command;

    uint64_t held[4], stored[4], archived[4], explained[2], cover_bounds[4], needs[1];
    uint8_t epoch[16], store[16], archive[16], boot[16], key[32], signature[64];
    uint8_t payloads[MESSAGES_RECORDS][MESSAGES_PAYLOAD_BYTES], tags[MESSAGES_RECORDS][16];
    uint8_t mark_bytes[256], mark_mac[16], document_body[512], block_body[256];
};

/* The keys that stand in for derived ones. */
extern const uint8_t messages_tag_key[32], messages_mark_key[32];
extern const char messages_origin[];

void messages_init(struct messages *m);
/* One unknown field more in a message than a whole message may have. */
void message_flood(ProtobufCMessage *m);

#endif
