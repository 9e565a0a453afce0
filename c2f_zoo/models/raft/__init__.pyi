from .raft import RAFT as RAFT
