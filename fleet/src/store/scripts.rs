//! What Redis runs in one step. Redis runs one script at a time.
//!
//! A row is a hash, by fabric and peer:
//!
//! | field | value |
//! |---|---|
//! | `id` | resumption id of the record |
//! | `row` | the record, encrypted |
//! | `life` | the life of the server in which the row was written; absent once it was claimed |
//!
//! A second key for each row, by resumption id, has the name of the row. It is for look-ups alone:
//! no claim depends on it, as peers choose ids and two can have the same one.

/// The life of the server: it changes with each start of the process (`run_id`) and when a replica
/// becomes the primary (`master_replid`). Within one life the data are in memory and cannot go back
/// in time. After it they can, by a snapshot, a lost write or a replica that was behind. So a claim
/// is granted in the life in which the row was written, and never in another one.
macro_rules! with_life {
    ($script:literal) => {
        concat!(
            "local function life()
               local info = redis.call('INFO', 'server') .. redis.call('INFO', 'replication')
               return info:match('run_id:(%x+)') .. info:match('master_replid:(%x+)')
             end
             ",
            $script
        )
    };
}

/// Keys: row, index. Arguments: id, record, milliseconds until it expires, prefix of the index.
///
/// A record that is there already stays as claimable as it is.
pub(super) const SAVE: &str = with_life!(
    "local old = redis.call('HMGET', KEYS[1], 'id', 'life')
     local claimable = life()
     if old[1] == ARGV[1] then
       claimable = old[2]
     elseif old[1] then
       redis.call('DEL', ARGV[4] .. old[1])
     end
     redis.call('DEL', KEYS[1])
     redis.call('HSET', KEYS[1], 'id', ARGV[1], 'row', ARGV[2])
     if claimable then redis.call('HSET', KEYS[1], 'life', claimable) end
     redis.call('PEXPIRE', KEYS[1], ARGV[3])
     redis.call('SET', KEYS[2], KEYS[1], 'PX', ARGV[3])
     return 1"
);

/// Key: row. Argument: id. Returns 1 to one caller, once for each record that was saved.
///
/// The row stays for those who offer the record: they add a random of their own.
pub(super) const CLAIM: &str = with_life!(
    "local row = redis.call('HMGET', KEYS[1], 'id', 'life')
     if row[1] ~= ARGV[1] or row[2] ~= life() then return 0 end
     return redis.call('HDEL', KEYS[1], 'life')"
);

/// Key: index. Returns the name of the row and the record in it.
pub(super) const FIND: &str = "
     local name = redis.call('GET', KEYS[1])
     if not name then return false end
     return { name, redis.call('HGET', name, 'row') }";

/// Key: row. Argument: prefix of the index.
pub(super) const REMOVE: &str = "
     local old = redis.call('HGET', KEYS[1], 'id')
     if old then redis.call('DEL', ARGV[1] .. old) end
     return redis.call('DEL', KEYS[1])";

/// Key: the processes, by the end of their leases. Arguments: this process, milliseconds of a lease.
/// Returns the processes that live. The clock is that of Redis alone.
pub(super) const BEAT: &str = "
     local time = redis.call('TIME')
     local now = time[1] * 1000 + math.floor(time[2] / 1000)
     redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
     redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
     return redis.call('ZRANGE', KEYS[1], 0, -1)";
