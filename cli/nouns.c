/* The whole grammar: nouns, verbs, flags and columns. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "holdfast/v1/ha.pb-c.h"
#include "holdfast/v1/infra.pb-c.h"
#include "holdfast/v1/instance.pb-c.h"
#include "holdfast/v1/network.pb-c.h"
#include "holdfast/v1/operation.pb-c.h"
#include "holdfast/v1/storage.pb-c.h"
#include "holdfast/v1/system.pb-c.h"

#define END_FLAGS {.name = NULL}
#define END_VERBS {.name = NULL}
#define END_COLUMNS {.title = NULL}

#define DESCRIPTION {"description", CLI_STRING, "meta.description", N_("TEXT"), N_("a note for people"), NULL, NULL, false}
#define RENAME {"name", CLI_STRING, "meta.name", N_("NAME"), N_("the new name"), NULL, NULL, false}
#define REVISION {"revision", CLI_INT, "meta.revision", N_("N"), N_("only if it is still at this revision"), NULL, NULL, false}

static const struct cli_flag list_flags[] = {
    {"filter", CLI_STRING, "filter", N_("EXPR"), N_("for example: status.state = RUNNING AND spec.cpus > 1"), NULL, NULL, false},
    {"stale", CLI_BOOL, "stale", NULL, N_("answer from any node, perhaps with old values"), NULL, NULL, false},
    END_FLAGS};
static const struct cli_flag describe_flags[] = {DESCRIPTION, END_FLAGS};
static const struct cli_flag update_flags[] = {RENAME, DESCRIPTION, REVISION, END_FLAGS};
static const struct cli_flag delete_flags[] = {
    {"revision", CLI_INT, "revision", N_("N"), N_("only if it is still at this revision"), NULL, NULL, false}, END_FLAGS};

/* The five standard verbs of a noun: create, get, list, update, delete. */
#define STANDARD(One, Many, create, update) STANDARD_RUN(One, Many, create, update, NULL)
/* The same, with a function of its own that creates. */
#define STANDARD_RUN(One, Many, create, update, creates)                                                     \
    {.name = "create", .shape = CLI_CREATE, .method = "Create" One, .flags = create, .run = creates, .help = N_("make a new one")}, \
        {.name = "get", .shape = CLI_GET, .method = "Get" One, .help = N_("show one, whole")},                 \
        {.name = "list", .shape = CLI_LIST, .method = "List" Many, .flags = list_flags, .help = N_("show all, a line each")}, \
        {.name = "update", .shape = CLI_UPDATE, .method = "Update" One, .flags = update, .help = N_("change some fields")}, \
        {.name = "delete", .shape = CLI_DELETE, .method = "Delete" One, .flags = delete_flags, .help = N_("remove it; refused while it is in use")}

/* ---- zone ---- */
static const struct cli_verb zone_verbs[] = {STANDARD("Zone", "Zones", describe_flags, update_flags), END_VERBS};
static const struct cli_column zone_columns[] = {
    {"NAME", "meta.name", NULL, NULL}, {"UUID", "meta.uuid", NULL, NULL}, {"DESCRIPTION", "meta.description", NULL, NULL}, END_COLUMNS};

/* ---- cluster ---- */
#define TAKEOVER_CHOICES "strict=STRICT write-fenced=WRITE_FENCED"
#define CLUSTER_TAKEOVER_FLAG {"takeover", CLI_CHOICE, "spec.takeover", N_("WHEN"), N_("its NeverStop instances start elsewhere when nothing of them runs (default strict), or when nothing of them can write"), NULL, TAKEOVER_CHOICES, false}
static const struct cli_flag cluster_create[] = {
    {"zone", CLI_REF, "spec.zone_uuid", N_("ZONE"), N_("the zone it lies in"), "zone", NULL, true}, CLUSTER_TAKEOVER_FLAG, DESCRIPTION, END_FLAGS};
static const struct cli_flag cluster_update[] = {RENAME, DESCRIPTION, CLUSTER_TAKEOVER_FLAG, REVISION, END_FLAGS};
static const struct cli_verb cluster_verbs[] = {
    STANDARD("Cluster", "Clusters", cluster_create, cluster_update),
    {.name = "attach-storage", .shape = CLI_ACT, .method = "AttachPrimaryStorage", .subject_path = "cluster_uuid",
     .second_ref = "storage", .second_path = "uuid", .second_label = N_("STORAGE"), .help = N_("its hosts use this primary storage")},
    {.name = "detach-storage", .shape = CLI_ACT, .method = "DetachPrimaryStorage", .subject_path = "cluster_uuid",
     .second_ref = "storage", .second_path = "uuid", .second_label = N_("STORAGE"), .help = N_("its hosts no longer use it")},
    {.name = "attach-l2", .shape = CLI_ACT, .method = "AttachL2Network", .subject_path = "cluster_uuid", .second_ref = "l2",
     .second_path = "uuid", .second_label = N_("L2"), .help = N_("its hosts reach this L2 network")},
    {.name = "detach-l2", .shape = CLI_ACT, .method = "DetachL2Network", .subject_path = "cluster_uuid", .second_ref = "l2",
     .second_path = "uuid", .second_label = N_("L2"), .help = N_("its hosts no longer reach it")},
    END_VERBS};
static const struct cli_column cluster_columns[] = {{"NAME", "meta.name", NULL, NULL},
                                                    {"ZONE", "spec.zoneUuid", "zone", NULL},
                                                    {"STORAGES", "spec.primaryStorageUuids", "storage", NULL},
                                                    {"L2", "spec.l2NetworkUuids", "l2", NULL},
                                                    {"CONDITIONS", "status.conditions.message", NULL, NULL},
                                                    {"UUID", "meta.uuid", NULL, NULL},
                                                    END_COLUMNS};

/* ---- host ---- */
static const struct cli_flag host_create[] = {
    {"cluster", CLI_REF, "spec.cluster_uuid", N_("CLUSTER"), N_("the cluster it joins"), "cluster", NULL, true},
    {"address", CLI_STRING, "spec.management_ip", N_("IP"), N_("the pending host that dialled in from here"), NULL, NULL, false},
    {"uuid", CLI_STRING, "meta.uuid", N_("UUID"), N_("the pending host with this UUID"), NULL, NULL, false},
    DESCRIPTION,
    END_FLAGS};
static const struct cli_column pending_columns[] = {{"UUID", "uuid", NULL, NULL},
                                                    {"ADDRESS", "managementIp", NULL, NULL},
                                                    {"HOSTNAME", "hostname", NULL, NULL},
                                                    {"SINCE", "sinceMs", NULL, "since"},
                                                    END_COLUMNS};
#define DRAIN_POLICIES "refuse=REFUSE stop=STOP wait=WAIT"
static const struct cli_flag drain_flags[] = {
    {"policy", CLI_CHOICE, "policy", N_("POLICY"), N_("for instances that cannot be migrated live: refuse the whole (default), stop them, or wait"), NULL,
     DRAIN_POLICIES, false},
    END_FLAGS};
static const struct cli_flag undrain_flags[] = {
    {"start-stopped", CLI_BOOL, "start_stopped", NULL, N_("start again what the drain has stopped"), NULL, NULL, false}, END_FLAGS};
static const struct cli_flag power_add_flags[] = {
    {"agent", CLI_STRING, "device.agent", N_("AGENT"), N_("the fence agent, for example fence_ipmilan"), NULL, NULL, true},
    {"level", CLI_INT, "device.level", N_("N"), N_("levels are tried in order; devices of one level work together"), NULL, NULL, true},
    {"option", CLI_PAIR, "device.options[]", N_("NAME=VALUE"), N_("one of the agent's options (repeatable)"), NULL, NULL, false},
    {"secret", CLI_PAIR, "device.secrets[]", N_("NAME=@FILE"), N_("the same, never shown again; its value from a file, or NAME=VALUE (repeatable)"), NULL, NULL, false},
    {"agent-timeout", CLI_INT, "device.timeout_s", N_("SECONDS"), N_("for one run of the agent (default 20)"), NULL, NULL, false},
    END_FLAGS};
static const struct cli_flag power_switch_flags[] = {
    {"force", CLI_BOOL, "force", NULL, N_("off: although instances run there; on: although it is fenced and not proven down"), NULL, NULL, false},
    END_FLAGS};
static const struct cli_verb host_verbs[] = {
    STANDARD("Host", "Hosts", host_create, update_flags),
    {.name = "pending", .shape = CLI_SHOW, .method = "ListPendingHosts", .columns = pending_columns,
     .help = N_("host daemons that dialled in and wait to be added")},
    {.name = "power-fencing add", .shape = CLI_ACT, .method = "AddPowerDevice", .subject_path = "host_uuid", .second_path = "device.name",
     .second_label = N_("DEVICE"), .flags = power_add_flags, .help = N_("a fence agent that can cut its power")},
    {.name = "power-fencing remove", .shape = CLI_ACT, .method = "RemovePowerDevice", .subject_path = "host_uuid", .second_path = "name",
     .second_label = N_("DEVICE"), .second_list = "spec.powerFencing", .help = N_("take one away")},
    {.name = "power-fencing list", .shape = CLI_RUN, .method = "GetHost", .run = cli_host_power_devices, .help = N_("its power devices")},
    {.name = "power-fencing test", .shape = CLI_RUN, .method = "GetHostPower", .run = cli_host_power,
     .help = N_("ask all of them; fails when one cannot tell")},
    {.name = "power status", .shape = CLI_RUN, .method = "GetHostPower", .run = cli_host_power, .help = N_("what its power devices say")},
    {.name = "power on", .shape = CLI_RUN, .method = "SetHostPower", .run = cli_host_power, .flags = power_switch_flags,
     .help = N_("switch it on")},
    {.name = "power off", .shape = CLI_RUN, .method = "SetHostPower", .run = cli_host_power, .flags = power_switch_flags,
     .help = N_("switch it off, until every device of a level says so")},
    {.name = "enable", .shape = CLI_ACT, .method = "EnableHost", .help = N_("takes new instances again")},
    {.name = "disable", .shape = CLI_ACT, .method = "DisableHost", .help = N_("takes no new instances")},
    {.name = "drain", .shape = CLI_ACT, .method = "DrainHost", .flags = drain_flags,
     .help = N_("takes no new instances, and those on it leave")},
    {.name = "undrain", .shape = CLI_ACT, .method = "UndrainHost", .flags = undrain_flags, .help = N_("serves again")},
    {.name = "maintenance enter", .shape = CLI_ACT, .method = "EnterMaintenance", .flags = drain_flags,
     .help = N_("drained; then it may be rebooted or switched off")},
    {.name = "maintenance leave", .shape = CLI_ACT, .method = "UndrainHost", .flags = undrain_flags, .help = N_("serves again")},
    {.name = "shutdown", .shape = CLI_ACT, .method = "ShutDownHost", .flags = drain_flags,
     .help = N_("drained; then its daemon closes its epoch and ends")},
    END_VERBS};
#define DUTIES "serving=DUTY_UNSPECIFIED draining=DRAINING drained=DRAINED maintenance=MAINTENANCE shut-down=SHUT_DOWN"
static const struct cli_column host_columns[] = {{"NAME", "meta.name", NULL, NULL},
                                                 {"STATE", "status.state", NULL, NULL},
                                                 {"DUTY", "status.duty", NULL, DUTIES},
                                                 {"EPOCH", "status.epoch", NULL, NULL},
                                                 {"ADDRESS", "spec.managementIp", NULL, NULL},
                                                 {"CLUSTER", "spec.clusterUuid", "cluster", NULL},
                                                 {"CPUS", "status.cpus", NULL, NULL},
                                                 {"MEMORY", "status.memoryBytes", NULL, "size"},
                                                 {"ACCEL", "status.accelerator", NULL, NULL},
                                                 {"WATCHDOG", "status.watchdog", NULL, NULL},
                                                 {"DISABLED", "spec.disabled", NULL, NULL},
                                                 {"UUID", "meta.uuid", NULL, NULL},
                                                 END_COLUMNS};

/* ---- primary storage ---- */
#define STORAGE_CHOICES "SharedMountPoint=SHARED_MOUNT_POINT LocalStorage=LOCAL_STORAGE NFS=NFS Ceph=CEPH"
#define STORAGE_NETWORK \
    {"storage-network-cidr", CLI_STRING, "spec.storage_network_cidr", N_("CIDR"), N_("each host's address in it carries heartbeats and mounts"), NULL, NULL, false}
#define CEPH_MONITOR                                                                                                                          \
    {"monitor", CLI_STRING, "spec.ceph.monitors[]", N_("ADDRESS"), N_("Ceph: a monitor's IPv4 address, or ADDRESS:PORT (repeatable)"), NULL,  \
     NULL, false}
#define CEPH_USER {"user", CLI_STRING, "spec.ceph.user", N_("USER"), N_("Ceph: the control nodes' user, without 'client.'"), NULL, NULL, false}
#define CEPH_KEY \
    {"key", CLI_SECRET, "spec.ceph.key", N_("@FILE"), N_("Ceph: its key, never shown again; from a file, or the key itself"), NULL, NULL, false}
#define CEPH_NO_CEPHX {"no-cephx", CLI_BOOL, "spec.ceph.cephx_off", NULL, N_("Ceph: the cluster asks nobody for a key"), NULL, NULL, false}
#define CEPH_FSID {"fsid", CLI_STRING, "spec.ceph.fsid", N_("FSID"), N_("Ceph: which cluster it must be (default: the first that answers)"), NULL, NULL, false}
static const struct cli_flag storage_create[] = {
    {"zone", CLI_REF, "spec.zone_uuid", N_("ZONE"), N_("the zone it lies in"), "zone", NULL, true},
    {"type", CLI_CHOICE, "spec.type", N_("TYPE"), N_("what it is"), NULL,
     STORAGE_CHOICES, true},
    {"path", CLI_STRING, "spec.path", N_("DIR"), N_("the directory, the same on every host (not for NFS)"), NULL, NULL, false},
    {"url", CLI_STRING, "spec.url", N_("SERVER:/EXPORT"), N_("NFS: what hosts mount"), NULL, NULL, false},
    {"mount-options", CLI_STRING, "spec.mount_options", N_("OPTIONS"), N_("NFS: as for mount(8) (default hard,vers=4.2)"), NULL, NULL, false},
    STORAGE_NETWORK,
    CEPH_MONITOR,
    CEPH_USER,
    CEPH_KEY,
    CEPH_NO_CEPHX,
    CEPH_FSID,
    {"image-pool", CLI_STRING, "spec.ceph.image_pool", N_("POOL"), N_("Ceph: templates; without it a pool is made"), NULL, NULL, false},
    {"root-pool", CLI_STRING, "spec.ceph.root_pool", N_("POOL"), N_("Ceph: root volumes; without it a pool is made"), NULL, NULL, false},
    {"data-pool", CLI_STRING, "spec.ceph.data_pool", N_("POOL"), N_("Ceph: data volumes; without it a pool is made"), NULL, NULL, false},
    {"reserved", CLI_SIZE, "spec.reserved_bytes", N_("SIZE"), N_("kept free of new volumes (default 1G)"), NULL, NULL, false},
    DESCRIPTION,
    END_FLAGS};
static const struct cli_flag storage_update[] = {RENAME, DESCRIPTION, STORAGE_NETWORK, CEPH_MONITOR, CEPH_USER, CEPH_KEY, REVISION, END_FLAGS};
static const struct cli_verb storage_verbs[] = {
    STANDARD("PrimaryStorage", "PrimaryStorages", storage_create, storage_update), END_VERBS};
static const struct cli_column storage_columns[] = {{"NAME", "meta.name", NULL, NULL},
                                                    {"TYPE", "spec.type", NULL, STORAGE_CHOICES},
                                                    {"PATH", "spec.path", NULL, NULL},
                                                    {"URL", "spec.url", NULL, NULL},
                                                    {"HEALTH", "status.ceph.health", NULL, NULL},
                                                    {"TOTAL", "status.totalBytes", NULL, "size"},
                                                    {"AVAILABLE", "status.availableBytes", NULL, "size"},
                                                    {"ZONE", "spec.zoneUuid", "zone", NULL},
                                                    {"UUID", "meta.uuid", NULL, NULL},
                                                    END_COLUMNS};

/* ---- image server ---- */
#define SERVER_CHOICES "Ceph=CEPH"
static const struct cli_flag server_create[] = {
    {"zone", CLI_REF, "spec.zone_uuid", N_("ZONE"), N_("the zone it lies in: its hosts bring images in"), "zone", NULL, true},
    {"type", CLI_CHOICE, "spec.type", N_("TYPE"), N_("what it is"), NULL, SERVER_CHOICES, true},
    CEPH_MONITOR,
    CEPH_USER,
    CEPH_KEY,
    CEPH_NO_CEPHX,
    CEPH_FSID,
    {"pool", CLI_STRING, "spec.ceph.image_pool", N_("POOL"), N_("Ceph: where images lie; without it a pool is made"), NULL, NULL, false},
    DESCRIPTION,
    END_FLAGS};
static const struct cli_flag server_update[] = {RENAME, DESCRIPTION, CEPH_MONITOR, CEPH_USER, CEPH_KEY, REVISION, END_FLAGS};
static const struct cli_verb server_verbs[] = {STANDARD("ImageServer", "ImageServers", server_create, server_update), END_VERBS};
static const struct cli_column server_columns[] = {{"NAME", "meta.name", NULL, NULL},
                                                   {"TYPE", "spec.type", NULL, SERVER_CHOICES},
                                                   {"POOL", "spec.ceph.imagePool", NULL, NULL},
                                                   {"HEALTH", "status.ceph.health", NULL, NULL},
                                                   {"TOTAL", "status.totalBytes", NULL, "size"},
                                                   {"AVAILABLE", "status.availableBytes", NULL, "size"},
                                                   {"ZONE", "spec.zoneUuid", "zone", NULL},
                                                   {"UUID", "meta.uuid", NULL, NULL},
                                                   END_COLUMNS};

/* ---- image ---- */
static const struct cli_flag image_create[] = {
    {"url", CLI_STRING, "spec.url", N_("URL"), N_("where the file is fetched from: http, https or file"), NULL, NULL, false},
    {"upload", CLI_FILE, "spec.upload_bytes", N_("FILE"), N_("instead of a URL: a file of this machine, uploaded to the image server"), NULL, NULL, false},
    {"sha256", CLI_STRING, "spec.sha256", N_("HEX"), N_("checksum of the file (of an uploaded one it is found out)"), NULL, NULL, false},
    {"format", CLI_CHOICE, "spec.format", N_("FORMAT"), N_("of the file"), NULL, "qcow2=QCOW2 raw=RAW", true},
    {"image-server", CLI_REF, "spec.image_server_uuid", N_("SERVER"), N_("where it is kept (default: nowhere, each storage fetches it)"), "image-server", NULL, false},
    DESCRIPTION,
    END_FLAGS};
static const struct cli_verb image_verbs[] = {
    STANDARD_RUN("Image", "Images", image_create, update_flags, cli_image_create),
    {.name = "upload", .shape = CLI_RUN, .method = "FinishImageUpload", .second_label = N_("FILE"), .second_file = true,
     .run = cli_image_upload, .help = N_("go on with the upload of its file, or begin it anew")},
    END_VERBS};
static const struct cli_column image_columns[] = {{"NAME", "meta.name", NULL, NULL},
                                                  {"STATE", "status.state", NULL, NULL},
                                                  {"FORMAT", "spec.format", NULL, NULL},
                                                  {"SIZE", "status.fileBytes", NULL, "size"},
                                                  {"VIRTUAL", "status.virtualBytes", NULL, "size"},
                                                  {"SERVER", "spec.imageServerUuid", "image-server", NULL},
                                                  {"UUID", "meta.uuid", NULL, NULL},
                                                  END_COLUMNS};

/* ---- instance offering ---- */
#define STRATEGY_CHOICES "fewest-instances=FEWEST_INSTANCES most-free-memory=MOST_FREE_MEMORY last-host=LAST_HOST"
static const struct cli_flag offering_create[] = {
    {"cpus", CLI_INT, "spec.cpus", N_("N"), N_("virtual CPUs"), NULL, NULL, true},
    {"memory", CLI_SIZE, "spec.memory_bytes", N_("SIZE"), N_("for example 512M or 2G"), NULL, NULL, true},
    {"strategy", CLI_CHOICE, "spec.strategy", N_("WHICH"), N_("how a host is chosen (default fewest-instances)"), NULL,
     STRATEGY_CHOICES, false},
    DESCRIPTION,
    END_FLAGS};
static const struct cli_verb offering_verbs[] = {
    STANDARD("InstanceOffering", "InstanceOfferings", offering_create, update_flags), END_VERBS};
static const struct cli_column offering_columns[] = {{"NAME", "meta.name", NULL, NULL},
                                                     {"CPUS", "spec.cpus", NULL, NULL},
                                                     {"MEMORY", "spec.memoryBytes", NULL, "size"},
                                                     {"STRATEGY", "spec.strategy", NULL, STRATEGY_CHOICES},
                                                     {"DISABLED", "spec.disabled", NULL, NULL},
                                                     {"UUID", "meta.uuid", NULL, NULL},
                                                     END_COLUMNS};

/* ---- L2 network ---- */
#define L2_CHOICES "L2NoVlanNetwork=L2_NO_VLAN_NETWORK"
static const struct cli_flag l2_create[] = {
    {"zone", CLI_REF, "spec.zone_uuid", N_("ZONE"), N_("the zone it lies in"), "zone", NULL, true},
    {"type", CLI_CHOICE, "spec.type", N_("TYPE"), N_("default L2NoVlanNetwork"), NULL, L2_CHOICES, false},
    {"interface", CLI_STRING, "spec.physical_interface", N_("NIC"), N_("the NIC on every host"), NULL, NULL, true},
    DESCRIPTION,
    END_FLAGS};
static const struct cli_verb l2_verbs[] = {STANDARD("L2Network", "L2Networks", l2_create, update_flags), END_VERBS};
static const struct cli_column l2_columns[] = {{"NAME", "meta.name", NULL, NULL},
                                               {"TYPE", "spec.type", NULL, L2_CHOICES},
                                               {"INTERFACE", "spec.physicalInterface", NULL, NULL},
                                               {"ZONE", "spec.zoneUuid", "zone", NULL},
                                               {"UUID", "meta.uuid", NULL, NULL},
                                               END_COLUMNS};

/* ---- L3 network ---- */
static const struct cli_flag l3_create[] = {
    {"l2", CLI_REF, "spec.l2_network_uuid", N_("L2"), N_("the L2 network below it"), "l2", NULL, true},
    {"range", CLI_RANGE, "spec.ip_ranges[0]", N_("FIRST-LAST"), N_("addresses for instances"), NULL, NULL, false},
    {"netmask", CLI_STRING, "spec.ip_ranges[0].netmask", N_("MASK"), N_("255.255.0.0 or 16"), NULL, NULL, false},
    {"gateway", CLI_STRING, "spec.ip_ranges[0].gateway", N_("IP"), N_("the default route"), NULL, NULL, false},
    {"cidr", CLI_STRING, "spec.ip_ranges[0].cidr", N_("CIDR"), N_("instead of range, netmask and gateway"), NULL, NULL, false},
    {"dns", CLI_STRING, "spec.dns[]", N_("IP"), N_("a DNS server (repeatable)"), NULL, NULL, false},
    {"dhcp-ip", CLI_STRING, "spec.dhcp_ip", N_("IP"), N_("address of the DHCP service (default: one of the range)"), NULL, NULL, false},
    {"no-dhcp", CLI_BOOL, "spec.dhcp_disabled", NULL, N_("without DHCP"), NULL, NULL, false},
    DESCRIPTION,
    END_FLAGS};
static const struct cli_flag l3_add_range[] = {
    {"range", CLI_RANGE, "ip_range", N_("FIRST-LAST"), N_("addresses for instances"), NULL, NULL, false},
    {"netmask", CLI_STRING, "ip_range.netmask", N_("MASK"), N_("255.255.0.0 or 16"), NULL, NULL, false},
    {"gateway", CLI_STRING, "ip_range.gateway", N_("IP"), N_("the default route"), NULL, NULL, false},
    {"cidr", CLI_STRING, "ip_range.cidr", N_("CIDR"), N_("instead of the other three"), NULL, NULL, false},
    END_FLAGS};
static const struct cli_column address_columns[] = {{"ADDRESS", "ip", NULL, NULL},
                                                    {"NETWORK", "l3NetworkUuid", "l3", NULL},
                                                    {"INSTANCE", "instanceUuid", "instance", NULL},
                                                    END_COLUMNS};
static const struct cli_verb l3_verbs[] = {
    STANDARD("L3Network", "L3Networks", l3_create, update_flags),
    {.name = "add-range", .shape = CLI_ACT, .method = "AddIpRange", .flags = l3_add_range, .help = N_("one more range of addresses")},
    {.name = "addresses", .shape = CLI_SHOW, .method = "ListIpAddresses", .columns = address_columns, .flags = list_flags,
     .help = N_("the addresses that are taken, and by whom")},
    END_VERBS};
static const struct cli_column l3_columns[] = {{"NAME", "meta.name", NULL, NULL},
                                               {"CIDR", "status.cidr", NULL, NULL},
                                               {"USED", "status.usedIps", NULL, NULL},
                                               {"TOTAL", "status.totalIps", NULL, NULL},
                                               {"DHCP-IP", "spec.dhcpIp", NULL, NULL},
                                               {"L2", "spec.l2NetworkUuid", "l2", NULL},
                                               {"UUID", "meta.uuid", NULL, NULL},
                                               END_COLUMNS};

/* ---- volume ---- */
static const struct cli_flag volume_create[] = {
    {"storage", CLI_REF, "spec.primary_storage_uuid", N_("STORAGE"), N_("where it lies"), "storage", NULL, true},
    {"size", CLI_SIZE, "spec.size_bytes", N_("SIZE"), N_("for example 10G"), NULL, NULL, true},
    DESCRIPTION,
    END_FLAGS};
static const struct cli_flag volume_resize[] = {
    {"size", CLI_SIZE, "size_bytes", N_("SIZE"), N_("for example 20G"), NULL, NULL, true}, END_FLAGS};
static const struct cli_verb volume_verbs[] = {
    STANDARD("Volume", "Volumes", volume_create, update_flags),
    {.name = "attach", .shape = CLI_ACT, .method = "AttachVolume", .second_ref = "instance", .second_path = "instance_uuid",
     .second_label = N_("INSTANCE"), .help = N_("a data volume to a stopped instance")},
    {.name = "detach", .shape = CLI_ACT, .method = "DetachVolume", .help = N_("from its stopped instance")},
    {.name = "resize", .shape = CLI_ACT, .method = "ResizeVolume", .flags = volume_resize,
     .help = N_("make it larger, also under a running guest")},
    {.name = "snapshot create", .shape = CLI_ACT, .method = "SnapshotVolume", .second_path = "name",
     .second_label = N_("SNAPSHOT"), .help = N_("keep what it holds now under a name (Ceph only)")},
    {.name = "snapshot list", .shape = CLI_RUN, .method = "GetVolume", .run = cli_volume_snapshots, .help = N_("its snapshots, oldest first")},
    {.name = "snapshot revert", .shape = CLI_ACT, .method = "RevertVolume", .second_path = "snapshot",
     .second_label = N_("SNAPSHOT"), .second_list = "status.snapshots", .help = N_("back to what it held then; its instance is stopped (what was written since is lost)")},
    {.name = "snapshot delete", .shape = CLI_ACT, .method = "DeleteVolumeSnapshot", .second_path = "snapshot",
     .second_label = N_("SNAPSHOT"), .second_list = "status.snapshots", .help = N_("keep that state no longer; the volume stays as it is")},
    {.name = "flatten", .shape = CLI_ACT, .method = "FlattenVolume", .help = N_("make it need its image no more (Ceph only)")},
    END_VERBS};
static const struct cli_column volume_columns[] = {{"NAME", "meta.name", NULL, NULL},
                                                   {"TYPE", "spec.type", NULL, NULL},
                                                   {"STATE", "status.state", NULL, NULL},
                                                   {"SIZE", "spec.sizeBytes", NULL, "size"},
                                                   {"INSTANCE", "spec.instanceUuid", "instance", NULL},
                                                   {"STORAGE", "spec.primaryStorageUuid", "storage", NULL},
                                                   {"UUID", "meta.uuid", NULL, NULL},
                                                   END_COLUMNS};

/* ---- affinity group ---- */
#define POLICY_CHOICES "anti-affinity=ANTI_AFFINITY affinity=AFFINITY"
static const struct cli_flag group_create[] = {
    {"policy", CLI_CHOICE, "spec.policy", N_("WHICH"), N_("different hosts for its instances, or the same one"), NULL, POLICY_CHOICES, true},
    {"hard", CLI_BOOL, "spec.hard", NULL, N_("rather not started than against it (else: where it can be had)"), NULL, NULL, false},
    DESCRIPTION,
    END_FLAGS};
static const struct cli_flag group_update[] = {
    RENAME,
    DESCRIPTION,
    {"policy", CLI_CHOICE, "spec.policy", N_("WHICH"), N_("counts at the next start of its instances"), NULL, POLICY_CHOICES, false},
    {"hard", CLI_BOOL, "spec.hard", NULL, N_("rather not started than against it"), NULL, NULL, false},
    {"soft", CLI_NO, "spec.hard", NULL, N_("where it can be had"), NULL, NULL, false},
    REVISION,
    END_FLAGS};
static const struct cli_verb group_verbs[] = {STANDARD("AffinityGroup", "AffinityGroups", group_create, group_update), END_VERBS};
static const struct cli_column group_columns[] = {{"NAME", "meta.name", NULL, NULL},
                                                  {"POLICY", "spec.policy", NULL, POLICY_CHOICES},
                                                  {"HARD", "spec.hard", NULL, NULL},
                                                  {"UUID", "meta.uuid", NULL, NULL},
                                                  END_COLUMNS};

/* ---- instance ---- */
#define INSTANCE_TAKEOVER_FLAG {"takeover", CLI_CHOICE, "spec.takeover", N_("WHEN"), N_("NeverStop: starts elsewhere when nothing of it runs, or when nothing of it can write (default: as its cluster)"), NULL, "as-cluster=TAKEOVER_UNSPECIFIED " TAKEOVER_CHOICES, false}
#define HA_CHOICES "None=HA_NONE NeverStop=NEVER_STOP"
#define HA_FLAG {"ha", CLI_CHOICE, "spec.ha_level", N_("LEVEL"), N_("what happens when its host is lost"), NULL, HA_CHOICES, false}
#define PRIORITY_FLAG {"priority", CLI_CHOICE, "spec.restart_priority", N_("WHICH"), N_("who starts first when many wait for a host (default medium)"), NULL, CLI_PRIORITY_CHOICES, false}
#define GROUP_FLAG {"group", CLI_REF, "spec.affinity_group_uuids[]", N_("GROUP"), N_("an affinity group that it is in (repeatable; '' for none)"), "affinity-group", NULL, false}
static const struct cli_flag instance_create[] = {
    {"offering", CLI_REF, "spec.instance_offering_uuid", N_("OFFERING"), N_("CPUs and memory"), "offering", NULL, true},
    {"image", CLI_REF, "spec.image_uuid", N_("IMAGE"), N_("template of the root volume"), "image", NULL, true},
    {"network", CLI_REF, "spec.l3_network_uuids[]", N_("L3"), N_("a network (repeatable; the first is the default)"), "l3", NULL, true},
    HA_FLAG,
    INSTANCE_TAKEOVER_FLAG,
    PRIORITY_FLAG,
    GROUP_FLAG,
    {"host", CLI_REF, "spec.host_uuid", N_("HOST"), N_("start it on this host"), "host", NULL, false},
    {"storage", CLI_REF, "spec.primary_storage_uuid", N_("STORAGE"), N_("where its root volume lies"), "storage", NULL, false},
    {"power", CLI_CHOICE, "spec.power", N_("STATE"), N_("default running"), NULL, "running=POWER_RUNNING stopped=POWER_STOPPED", false},
    DESCRIPTION,
    END_FLAGS};
static const struct cli_flag instance_update[] = {RENAME, DESCRIPTION, HA_FLAG, INSTANCE_TAKEOVER_FLAG, PRIORITY_FLAG, GROUP_FLAG, REVISION, END_FLAGS};
static const struct cli_flag start_flags[] = {
    {"host", CLI_REF, "host_uuid", N_("HOST"), N_("on this host only"), "host", NULL, false}, END_FLAGS};
static const struct cli_flag migrate_flags[] = {
    {"host", CLI_REF, "host_uuid", N_("HOST"), N_("to this host"), "host", NULL, false}, END_FLAGS};
static const struct cli_flag force_flags[] = {
    {"force", CLI_BOOL, "force", NULL, N_("do not ask the guest first"), NULL, NULL, false}, END_FLAGS};
static const struct cli_verb instance_verbs[] = {
    STANDARD("Instance", "Instances", instance_create, instance_update),
    {.name = "start", .shape = CLI_ACT, .method = "StartInstance", .flags = start_flags, .help = N_("start it")},
    {.name = "stop", .shape = CLI_ACT, .method = "StopInstance", .flags = force_flags,
     .help = N_("shut it down (ACPI, then by force); a NeverStop instance then stays stopped")},
    {.name = "reboot", .shape = CLI_ACT, .method = "RebootInstance", .flags = force_flags, .help = N_("restart its guest")},
    {.name = "pause", .shape = CLI_ACT, .method = "PauseInstance", .help = N_("stop its CPUs")},
    {.name = "resume", .shape = CLI_ACT, .method = "ResumeInstance", .help = N_("let its CPUs go on")},
    {.name = "migrate", .shape = CLI_ACT, .method = "MigrateInstance", .flags = migrate_flags,
     .help = N_("move it to another host while it runs")},
    END_VERBS};
static const struct cli_column instance_columns[] = {{"NAME", "meta.name", NULL, NULL},
                                                     {"STATE", "status.state", NULL, NULL},
                                                     {"HOST", "placement.hostUuid", "host", NULL},
                                                     {"MOVES TO", "status.migratingToHostUuid", "host", NULL},
                                                     {"RUN", "placement.run", NULL, NULL},
                                                     {"HA", "spec.haLevel", NULL, HA_CHOICES},
                                                     {"PRIORITY", "spec.restartPriority", NULL, CLI_PRIORITY_CHOICES},
                                                     {"HELD", "status.crashLoop.heldSinceMs", NULL, "since"},
                                                     {"IP", "spec.nics.ip", NULL, NULL},
                                                     {"CPUS", "spec.cpus", NULL, NULL},
                                                     {"MEMORY", "spec.memoryBytes", NULL, "size"},
                                                     {"UUID", "meta.uuid", NULL, NULL},
                                                     END_COLUMNS};

/* ---- setting, operation, control, ha, watch ---- */
static const struct cli_verb setting_verbs[] = {
    {.name = "get", .shape = CLI_GET, .method = "GetGlobalSetting", .help = N_("show one, whole")},
    {.name = "list", .shape = CLI_LIST, .method = "ListGlobalSettings", .flags = list_flags, .help = N_("show all, a line each")},
    {.name = "set", .shape = CLI_RUN, .run = cli_setting_set, .second_path = "value", .second_label = N_("VALUE"), .help = N_("change its value")},
    END_VERBS};
static const struct cli_column setting_columns[] = {{"NAME", "meta.name", NULL, NULL},
                                                    {"VALUE", "value", NULL, NULL},
                                                    {"DEFAULT", "defaultValue", NULL, NULL},
                                                    {"TYPE", "type", NULL, NULL},
                                                    {"DESCRIPTION", "meta.description", NULL, NULL},
                                                    END_COLUMNS};
static const struct cli_verb operation_verbs[] = {
    {.name = "get", .shape = CLI_GET, .method = "GetOperation", .help = N_("show one, whole")},
    {.name = "list", .shape = CLI_LIST, .method = "ListOperations", .flags = list_flags, .help = N_("show all, a line each")},
    {.name = "wait", .shape = CLI_RUN, .run = cli_operation_wait, .help = N_("follow it to its end")},
    {.name = "cancel", .shape = CLI_ACT, .method = "CancelOperation", .help = N_("ask it to end early")},
    END_VERBS};
static const struct cli_column operation_columns[] = {{"UUID", "meta.uuid", NULL, NULL},
                                                      {"VERB", "verb", NULL, NULL},
                                                      {"TARGET", "targetName", NULL, NULL},
                                                      {"STATE", "state", NULL, NULL},
                                                      {"STARTED", "startedAtMs", NULL, "time"},
                                                      {"STEP", "step", NULL, NULL},
                                                      {"ERROR", "errorMessage", NULL, NULL},
                                                      END_COLUMNS};
static const struct cli_flag control_add[] = {
    {"id", CLI_INT, "id", N_("N"), N_("its number, never used before"), NULL, NULL, true},
    {"raft-address", CLI_STRING, "raft_address", N_("HOST:PORT"), N_("where its peers reach it"), NULL, NULL, true},
    {"api-address", CLI_STRING, "api_address", N_("HOST:PORT"), N_("where clients reach it"), NULL, NULL, true},
    END_FLAGS};
static const struct cli_flag control_remove[] = {
    {"id", CLI_INT, "id", N_("N"), N_("its number"), NULL, NULL, true}, END_FLAGS};
static const struct cli_column control_columns[] = {{"ID", "id", NULL, NULL},
                                                    {"ROLE", "role", NULL, NULL},
                                                    {"API", "apiAddress", NULL, NULL},
                                                    {"RAFT", "raftAddress", NULL, NULL},
                                                    END_COLUMNS};
static const struct cli_verb control_verbs[] = {
    {.name = "status", .shape = CLI_SHOW, .method = "GetStatus", .run = cli_control_status, .help = N_("the control nodes and who leads")},
    {.name = "add", .shape = CLI_SHOW, .method = "AddControlNode", .flags = control_add, .help = N_("one more member, started with --join")},
    {.name = "remove", .shape = CLI_SHOW, .method = "RemoveControlNode", .flags = control_remove, .help = N_("take a member out")},
    END_VERBS};
static const struct cli_column failover_columns[] = {{"INSTANCE", "instanceName", NULL, NULL},
                                                     {"FROM", "fromHostUuid", "host", NULL},
                                                     {"TO", "toHostUuid", "host", NULL},
                                                     {"RUNS", "runBefore", NULL, NULL},
                                                     {"→", "runAfter", NULL, NULL},
                                                     {"EVIDENCE", "evidence", NULL, NULL},
                                                     {"DETECTED", "detectedAtMs", NULL, "time"},
                                                     {"FENCED", "fencedAtMs", NULL, "time"},
                                                     {"PLACED", "placedAtMs", NULL, "time"},
                                                     {"RUNNING", "runningAtMs", NULL, "time"},
                                                     {"OUTCOME", "outcome", NULL, NULL},
                                                     END_COLUMNS};
static const struct cli_column fence_columns[] = {{"HOST", "hostUuid", "host", NULL},
                                                  {"EPOCH", "epoch", NULL, NULL},
                                                  {"FENCED", "meta.createdAtMs", NULL, "time"},
                                                  {"EVIDENCE", "evidence.kind", NULL, NULL},
                                                  {"BLOCKLISTS", "blocklists.state", NULL, NULL},
                                                  {"REASON", "reason", NULL, NULL},
                                                  END_COLUMNS};
static const struct cli_flag confirm_flags[] = {
    {"epoch", CLI_INT, "epoch", N_("N"), N_("the host's epoch, as 'host list' shows it"), NULL, NULL, true},
    {"statement", CLI_STRING, "statement", N_("TEXT"), N_("what you did to make sure; it is recorded"), NULL, NULL, true},
    {"host", CLI_REF, "host_uuid", N_("HOST"), N_("the host that is off"), "host", NULL, true},
    END_FLAGS};
static const struct cli_flag timeline_flags[] = {
    {"instance", CLI_REF, "instance_uuid", N_("INSTANCE"), N_("the instance whose host was lost"), "instance", NULL, true},
    {"run", CLI_INT, "run", N_("N"), N_("the run that was lost, as 'ha history' shows it (default the last one)"), NULL, NULL, false},
    END_FLAGS};
static const struct cli_column timeline_columns[] = {
    {"AT", "atMs", NULL, "time"}, {"WHO", "source", NULL, NULL}, {"WHAT", "what", NULL, NULL}, END_COLUMNS};
static const struct cli_column times_columns[] = {{"PROFILE", "profile", NULL, NULL},
                                                  {"EVIDENCE", "evidence", NULL, NULL},
                                                  {"N", "n", NULL, NULL},
                                                  {"P50 MS", "p50Ms", NULL, NULL},
                                                  {"P99 MS", "p99Ms", NULL, NULL},
                                                  {"MAX MS", "maxMs", NULL, NULL},
                                                  END_COLUMNS};
static const struct cli_flag drill_flags[] = {
    {"yes", CLI_BOOL, "", NULL, N_("you know that the guests on this host lose power now"), NULL, NULL, true},
    {"force", CLI_BOOL, "force", NULL, N_("even if a NeverStop instance would find no place"), NULL, NULL, false},
    END_FLAGS};
static const struct cli_column drill_columns[] = {{"HOST", "hostName", NULL, NULL},
                                                  {"EPOCH", "epoch", NULL, NULL},
                                                  {"STATE", "state", NULL, NULL},
                                                  {"STARTED", "startedAtMs", NULL, "time"},
                                                  {"ENDED", "endedAtMs", NULL, "time"},
                                                  {"OUTCOME", "outcome", NULL, NULL},
                                                  END_COLUMNS};
static const struct cli_flag plan_flags[] = {
    {"host", CLI_REF, "host_uuids[]", N_("HOST"), N_("one more host that dies with it (repeatable)"), "host", NULL, false},
    END_FLAGS};
static const struct cli_verb ha_verbs[] = {
    {.name = "plan", .shape = CLI_RUN, .method = "PlanHostLoss", .flags = plan_flags, .subject_ref = "host", .run = cli_ha_plan,
     .help = N_("what would happen if this host died now, without touching anything")},
    {.name = "history", .shape = CLI_SHOW, .method = "ListFailovers", .columns = failover_columns, .flags = list_flags,
     .help = N_("what happened to instances whose host was lost")},
    {.name = "timeline", .shape = CLI_SHOW, .method = "GetTimeline", .columns = timeline_columns, .flags = timeline_flags,
     .help = N_("who saw, decided and did what when an instance's host was lost")},
    {.name = "times", .shape = CLI_SHOW, .method = "GetRecoveryTimes", .columns = times_columns,
     .help = N_("how long restarts took, from the lost host's last message on")},
    {.name = "drill", .shape = CLI_RUN, .subject_ref = "host", .run = cli_ha_drill, .flags = drill_flags,
     .help = N_("fail a connected host over on purpose: what runs there is killed")},
    {.name = "drills", .shape = CLI_SHOW, .method = "ListDrills", .columns = drill_columns, .flags = list_flags,
     .help = N_("drills and how they ended")},
    {.name = "fences", .shape = CLI_SHOW, .method = "ListFences", .columns = fence_columns, .flags = list_flags,
     .help = N_("fenced lives of hosts and the evidence")},
    {.name = "confirm-down", .shape = CLI_SHOW, .method = "ConfirmHostDown", .columns = fence_columns, .flags = confirm_flags,
     .help = N_("your word that a host is off, when nothing else can prove it")},
    END_VERBS};
static const struct cli_flag watch_flags[] = {
    {"kind", CLI_STRING, "", N_("KIND"), N_("only these nouns (repeatable)"), NULL, NULL, false},
    {"for", CLI_INT, "", N_("SECONDS"), N_("end after this time"), NULL, NULL, false},
    {"until", CLI_STRING, "", N_("TEXT"), N_("end when a line holds this text; exit code 1 if time runs out first"), NULL, NULL, false},
    END_FLAGS};
static const struct cli_verb watch_verbs[] = {
    {.name = "all", .shape = CLI_RUN, .run = cli_watch, .flags = watch_flags, .help = N_("show changes as they happen")}, END_VERBS};

const struct cli_noun cli_nouns[] = {
    {"zone", "zones", "", N_("data centers or rooms"), &holdfast__v1__zone_service__descriptor, zone_verbs, zone_columns},
    {"cluster", "clusters", "", N_("hosts of one kind with the same storages and networks"), &holdfast__v1__cluster_service__descriptor, cluster_verbs, cluster_columns},
    {"host", "hosts", "", N_("KVM hosts"), &holdfast__v1__host_service__descriptor, host_verbs, host_columns},
    {"storage", "storages", "primary-storage ps", N_("primary storages: where volumes lie"), &holdfast__v1__primary_storage_service__descriptor, storage_verbs, storage_columns},
    {"image-server", "image-servers", "", N_("image servers: where templates are kept"), &holdfast__v1__image_server_service__descriptor, server_verbs, server_columns},
    {"image", "images", "template", N_("templates for root volumes"), &holdfast__v1__image_service__descriptor, image_verbs, image_columns},
    {"offering", "offerings", "instance-offering", N_("sizes of instances"), &holdfast__v1__instance_offering_service__descriptor, offering_verbs, offering_columns},
    {"l2", "l2s", "l2-network", N_("L2 networks: a NIC on every host"), &holdfast__v1__l2_network_service__descriptor, l2_verbs, l2_columns},
    {"l3", "l3s", "l3-network network", N_("L3 networks: addresses, DHCP"), &holdfast__v1__l3_network_service__descriptor, l3_verbs, l3_columns},
    {"volume", "volumes", "", N_("disks"), &holdfast__v1__volume_service__descriptor, volume_verbs, volume_columns},
    {"instance", "instances", "vm", N_("virtual machines"), &holdfast__v1__instance_service__descriptor, instance_verbs, instance_columns},
    {"affinity-group", "affinity-groups", "group", N_("instances that run on different hosts, or on the same one"), &holdfast__v1__affinity_group_service__descriptor, group_verbs, group_columns},
    {"setting", "settings", "", N_("global settings"), &holdfast__v1__global_setting_service__descriptor, setting_verbs, setting_columns},
    {"operation", "operations", "op", N_("work under way, and how it ended"), &holdfast__v1__operation_service__descriptor, operation_verbs, operation_columns},
    {"ha", "ha", "", N_("high availability: fences, evidence, failovers"), &holdfast__v1__ha_service__descriptor, ha_verbs, failover_columns},
    {"control", "control", "", N_("the control plane itself"), &holdfast__v1__control_service__descriptor, control_verbs, control_columns},
    {"watch", "watch", "", N_("changes as they happen"), &holdfast__v1__watch_service__descriptor, watch_verbs, NULL},
    {.name = NULL},
};

static bool is_alias(const char *aliases, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = aliases; (p = strstr(p, name)) != NULL; p += len)
        if ((p == aliases || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
            return true;
    return false;
}

const struct cli_noun *cli_noun_find(const char *name)
{
    if (!*name)
        return NULL;
    for (const struct cli_noun *n = cli_nouns; n->name; n++)
        if (strcmp(n->name, name) == 0 || strcmp(n->plural, name) == 0 || is_alias(n->aliases, name))
            return n;
    return NULL;
}

const struct cli_verb *cli_verb_find(const struct cli_noun *noun, const char *name)
{
    for (const struct cli_verb *v = noun->verbs; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

const struct cli_verb *cli_verb_of(const struct cli_noun *noun, char *const *words, size_t *ret_used)
{
    char both[64];
    *ret_used = 2;
    if (words[0] && words[1] && (size_t)snprintf(both, sizeof both, "%s %s", words[0], words[1]) < sizeof both) {
        const struct cli_verb *v = cli_verb_find(noun, both);
        if (v)
            return v;
    }
    *ret_used = 1;
    return words[0] ? cli_verb_find(noun, words[0]) : NULL;
}
