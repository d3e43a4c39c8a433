# What hostd touches the hypervisor with.
hf_library(hf_domain_xml SOURCES domain_xml.c LINK hf_base PkgConfig::LIBXML2)
hf_test(domain_xml_test SOURCES domain_xml_test.c LINK hf_domain_xml)
