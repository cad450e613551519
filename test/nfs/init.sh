#!/bin/sh
# The first process of a user-mode Linux whose root is this machine's: an NFS server of the kernel, ganesha beside it, and clients of both. Runs
# what it is given, and ends the machine.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
set -e
trap 'echo o > /proc/sysrq-trigger; sleep 60' EXIT
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib/nfs
mkdir -p /var/lib/nfs/v4recovery /var/lib/nfs/sm /var/lib/nfs/rpc_pipefs /run/rpcbind /run/modules/lib/modules /run/export4 /run/export3 /run/exportg /run/ganesha
touch /var/lib/nfs/etab /var/lib/nfs/rmtab /var/lib/nfs/state
ip link set lo up
ln -s "/usr/lib/uml/modules/$(uname -r)" "/run/modules/lib/modules/$(uname -r)"
for module in nfsd nfs nfsv3 nfsv4; do modprobe -d /run/modules "$module"; done
mount -t nfsd nfsd /proc/fs/nfsd
rpcbind -w
for export in export4 export3 exportg; do mount -t tmpfs "$export" "/run/$export"; done
mkdir -p /run/export3/root/part
printf '/run/export4 127.0.0.1(rw,no_root_squash,no_subtree_check,insecure,fsid=0)\n/run/export3/root 127.0.0.1(rw,no_root_squash,no_subtree_check,insecure,fsid=1)\n' > /run/exports
mount --bind /run/exports /etc/exports
# The least that it takes: so long a restarted server lets nobody in but those that it knew.
for time in nfsv4leasetime nfsv4gracetime; do echo 10 > "/proc/fs/nfsd/$time"; done
rpc.nfsd 4
exportfs -ra
rpc.mountd
"$@"
