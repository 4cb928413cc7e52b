// The sandbox's layers in words, for those who do not know its source.

/** @type {Record<string, string>} */
const WORDS = {
  own_descriptors_only: "No open files except its socket and standard error",
  empty_environment: "An empty environment",
  oom_score: "The kernel ends it first when the host is out of memory (OOM score)",
  tenant_user: "Its own user on the host",
  user_namespace: "Its own user namespace",
  network_namespace: "Its own, empty network namespace",
  ipc_namespace: "No shared memory or queues of other processes",
  uts_namespace: "Its own host name (UTS namespace)",
  empty_root: "An empty root directory",
  no_capabilities: "No capabilities",
  parent_death_signal: "Ends when the supervisor ends",
  not_dumpable: "Its memory cannot be dumped or traced",
  no_executable_memory: "No new executable memory",
  no_new_privileges: "Cannot gain privileges",
  landlock_files: "No access to files (Landlock)",
  landlock_network: "No TCP connections (Landlock)",
  landlock_scopes: "No signals or abstract sockets to other processes (Landlock)",
  resource_limits: "Limits on memory, files and processes (rlimit)",
  seccomp: "A short list of system calls; any other call ends it (seccomp)",
  cgroup: "Memory, processes and processor time are bounded by a control group (cgroup)",
};

/** @param {string} layer */
export function layerWords(layer) {
  return Object.hasOwn(WORDS, layer) ? WORDS[layer] : layer.replaceAll("_", " ");
}
