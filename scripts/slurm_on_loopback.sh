#!/usr/bin/env bash
# A Slurm of one node on this machine, to try hydra/launcher=submitit_slurm where there is no cluster.
#
#   sudo bash scripts/slurm_on_loopback.sh start /tmp/slurm    # needs Debian's slurm-wlm and munge, and root
#   export SLURM_CONF=/tmp/slurm/slurm.conf
#   sinfo; python train.py -m latent=2,4 hydra/launcher=submitit_slurm hydra.launcher.partition=loopback
#   sudo bash scripts/slurm_on_loopback.sh stop /tmp/slurm
#
# It starts munged (a key of its own), slurmctld and slurmd. They write to the given folder only and listen on
# 127.0.0.1 only. Nothing in /etc is read or written. Jobs run as whoever submits them, without
# limits on memory (no cgroups); there is no accounting.
set -euo pipefail

usage() { echo "usage: $0 start|stop FOLDER" >&2; exit 2; }
[ $# = 2 ] || usage
command=$1 folder=$(realpath -m "$2")

stop() {
  for daemon in slurmd slurmctld munged; do
    if [ -s "$folder/$daemon.pid" ]; then
      pid=$(cat "$folder/$daemon.pid")
      kill "$pid" 2> /dev/null || true
      for _ in $(seq 50); do kill -0 "$pid" 2> /dev/null || break; sleep 0.1; done
      kill -9 "$pid" 2> /dev/null || true
      rm -f "$folder/$daemon.pid"
    fi
  done
}

start() {
  [ "$(id -u)" = 0 ] || { echo "error: slurmd starts jobs as other users, which takes root" >&2; exit 1; }
  for program in munged slurmctld slurmd; do
    command -v "$program" > /dev/null || PATH=$PATH:/usr/sbin command -v "$program" > /dev/null \
      || { echo "error: no $program here: apt-get install slurm-wlm munge" >&2; exit 1; }
  done
  export PATH=$PATH:/usr/sbin
  mkdir -p "$folder/state" "$folder/spool"
  # munged refuses a key or socket below a folder that others may write to, as /tmp is, unless it is sticky and forced.
  head -c 1024 /dev/urandom > "$folder/munge.key"
  chmod 600 "$folder/munge.key"
  munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munged.seed"
  free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
  cat > "$folder/slurm.conf" <<EOF
ClusterName=loopback
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CryptoType=crypto/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobRequeue=1
MinJobAge=300
ReturnToService=2
KillWait=10
SchedulerParameters=sched_min_interval=100000,requeue_delay=1
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1100)) State=UNKNOWN
PartitionName=loopback Nodes=$(hostname -s) Default=YES MaxTime=INFINITE State=UP
EOF
  chmod 644 "$folder/slurm.conf"
  slurmctld -f "$folder/slurm.conf" -c
  slurmd -f "$folder/slurm.conf" -N "$(hostname -s)"
  for _ in $(seq 100); do
    SLURM_CONF="$folder/slurm.conf" sinfo --noheader -o %T 2> /dev/null | grep -qx idle && return
    sleep 0.2
  done
  echo "error: the node did not become idle; $folder/*.log say why" >&2
  tail -n 5 "$folder"/*.log >&2
  stop
  exit 1
}

case $command in
  start) start ;;
  stop) stop ;;
  *) usage ;;
esac
