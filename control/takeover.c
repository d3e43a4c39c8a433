#include "control/takeover.h"

#include "base/mutant.h"

hf_status hf_takeover_check(Holdfast__V1__Takeover takeover)
{
    if (protobuf_c_enum_descriptor_get_value(&holdfast__v1__takeover__descriptor, (int)takeover) == NULL)
        return hf_error(HF_INVALID, "spec.takeover: %d is not known", (int)takeover);
    return HF_STATUS_OK;
}

bool hf_takeover_write_fenced(const Holdfast__V1__InstanceSpec *i, const Holdfast__V1__ClusterSpec *cluster)
{
    if (HF_MUTANT(STRICT_IS_WRITE_FENCED))
        return true;
    if (i->takeover != HOLDFAST__V1__TAKEOVER__TAKEOVER_UNSPECIFIED)
        return i->takeover == HOLDFAST__V1__TAKEOVER__WRITE_FENCED;
    return cluster != NULL && cluster->takeover == HOLDFAST__V1__TAKEOVER__WRITE_FENCED;
}
