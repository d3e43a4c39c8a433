/* The power devices of a test's hosts, as a runner of fence agents (power_runner.h): "bmc" and "pdu" of
 * host-1 answer in the cloud's own time, each in a mode that the test chooses.
 */
#ifndef HF_CONTROL_FAKE_BMC_H
#define HF_CONTROL_FAKE_BMC_H

#include "control/cloud_testing.h"
#include "control/power_runner.h"

#define BMC_AGENT_MS   300 /* that a device takes to answer */
#define BMC_ORDERS_MAX 512
#define BMC_PASSWORD   "s3cret"

enum bmc_mode { BMC_WORKS, BMC_LIES, BMC_REFUSES, BMC_HANGS, BMC_KEEPS_ON };

struct bmcs {
    struct hf_power_runner runner;
    struct cloud *cloud;
    enum bmc_mode bmc, pdu;
    unsigned offs, orders, cancelled; /* that were carried out, asked, given up */
    bool off_before_fence;
    struct bmc_order {
        struct bmcs *bmcs;
        bool open, pdu;
        enum hf_power_verb verb;
        char secret[64];
        hf_power_answered answered;
        void *arg;
        struct hf_timer timer;
    } list[BMC_ORDERS_MAX];
};

/* Every control node of the cloud runs its agents from here on. Free it after the cloud. */
struct bmcs *bmcs_create(struct cloud *c);

/* A device as the API takes it: the agent fence_x with its name as ip, and the password. Free with
 * holdfast__v1__power_device__free_unpacked(d, NULL). */
Holdfast__V1__PowerDevice *bmc_device(const char *name, uint32_t level);

#endif
