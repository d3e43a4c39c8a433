/* The wire by which hosts read what a control node keeps of an upload: HostLinkService.ReadUpload. Every node
 * answers it, whether it leads or not; it is only for hosts that were added, which show the secret of their
 * Hello.
 */
#ifndef HF_CONTROL_UPLOAD_GRPC_H
#define HF_CONTROL_UPLOAD_GRPC_H

#include "control/control.h"
#include "rpc/grpc_server.h"

void hf_upload_register(struct hf_grpc_server *server, struct hf_control *control);

#endif
