# What hostd touches the hypervisor with.
hf_library(hf_domain_xml SOURCES domain_xml.c LINK hf_guest_args hf_storage_core hf_base PkgConfig::LIBXML2)
hf_test(domain_xml_test SOURCES domain_xml_test.c LINK hf_domain_xml)

hf_library(hf_vm_libvirt SOURCES vm_libvirt.c libvirt_secrets.c libvirt_conn.c libvirt_domain.c libvirt_migrate.c libvirt_watch.c
  LINK hf_domain_xml hf_base_uv PkgConfig::LIBVIRT PkgConfig::OPENSSL)
hf_program(hf-vm-tool SOURCES vm_tool.c LINK hf_vm_libvirt)
set_target_properties(hf-vm-tool PROPERTIES EXCLUDE_FROM_ALL TRUE)
hf_test(vm_libvirt_test SOURCES vm_libvirt_test.c LINK hf_vm_libvirt)

hf_library(hf_accel SOURCES accel_probe.c LINK hf_base)
hf_test(accel_probe_test SOURCES accel_probe_test.c LINK hf_accel)
