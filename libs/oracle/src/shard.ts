/**
 * murmur2 as the Kafka client of Java computes it over the UTF-8 bytes, then the positive remainder by 12 partitions:
 * the shard of a member (architecture.md section 2). Arithmetic of 32 bits inside bigint.
 */
export const shardFunction = `
create or replace function pg_temp.oracle_shard(p_member text) returns smallint language plpgsql immutable as $$
declare
  m constant bigint := 1540483477;
  bits constant bigint := 4294967295;
  b constant bytea := convert_to(p_member, 'UTF8');
  n constant int := length(b);
  h bigint := 2538058380 # n;
  k bigint;
  i int := 0;
begin
  while i + 4 <= n loop
    k := get_byte(b, i) | (get_byte(b, i + 1) << 8) | (get_byte(b, i + 2) << 16) | (get_byte(b, i + 3)::bigint << 24);
    k := (k * m) & bits;
    k := ((k # (k >> 24)) * m) & bits;
    h := ((h * m) & bits) # k;
    i := i + 4;
  end loop;
  if n - i >= 3 then h := h # (get_byte(b, i + 2) << 16); end if;
  if n - i >= 2 then h := h # (get_byte(b, i + 1) << 8); end if;
  if n - i >= 1 then h := ((h # get_byte(b, i)) * m) & bits; end if;
  h := ((h # (h >> 13)) * m) & bits;
  h := h # (h >> 15);
  return ((h & 2147483647) % 12)::smallint;
end $$`;
