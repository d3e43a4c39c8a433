# The keeper: a small program of its own. What it drives stands in files of its own; what it decides is hf_ha.
hf_library(hf_keeper_drivers SOURCES keeper_inbox.c keeper_disk.c keeper_procs.c keeper_scan.c keeper_store.c
  keeper_watchdog.c keeper_server.c LINK hf_ha Threads::Threads)
hf_program(hf-lease SOURCES hf_lease.c LINK hf_keeper_drivers)
target_link_options(hf-lease PRIVATE -Wl,--as-needed)

# hostd's side.
hf_library(hf_keeper_client SOURCES keeper_client.c LINK hf_ha hf_base_uv PkgConfig::UV)
hf_library(hf_lease_reader SOURCES lease_reader.c LINK hf_ha hf_base_uv)
