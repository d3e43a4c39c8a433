# The API of a control node: kinds and commands (shared with the controllers), the pure API core, its gRPC driver, holdfastd.
hf_library(hf_control_store
  SOURCES kinds.c command.c settings.c
  LINK hf_consensus hf_api hf_base)
