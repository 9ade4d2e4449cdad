//! Spaces as the API shows them, and the files under their keys.

use super::{PresentError, Scene, page};
use crate::core::{
    access::{self, Principal, SpaceRights},
    keys,
    tables::{Keys, MaterialRecord, Materials, SpaceTotals, Spaces},
    view::{Table, Typed as _, ViewError},
};
use microtome_proto::{
    MaterialId,
    limits::FILE_KEY_LEN_MAX,
    page::{Page, PageQuery},
    space::{DescribeSpace, FilesQuery, Space, SpaceFile, SpaceFiles},
};

impl Scene<'_> {
    /// A space, for somebody with these rights in it; none where nobody has described it and nothing lies in it.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn space(&self, name: &str, rights: SpaceRights) -> Result<Option<Space>, ViewError> {
        let key = name.to_owned();
        let held = self.view.get_record::<SpaceTotals>(&key)?;
        let is_described = self.view.get_record::<Spaces>(&key)?.is_some();
        if held.is_none() && !is_described {
            return Ok(None);
        }
        let (held, record) = (held.unwrap_or_default(), access::space(self.view, name)?);
        let description = DescribeSpace {
            visibility: record.visibility,
            members: if rights.manage { record.members } else { Default::default() },
            quota_bytes: record.quota_bytes,
            quota_bytes_per_owner: record.quota_bytes_per_owner,
            expires_in_s: record.expires_in_s,
            idle_expires_in_s: record.idle_expires_in_s,
        };
        let (created_at, materials, bytes) = (record.created_at, held.replicas, held.bytes);
        Ok(Some(Space { name: key, description, created_at, materials, bytes }))
    }

    /// The spaces in which somebody may do something, by name: those that were described, and those that something lies in.
    ///
    /// # Errors
    /// Where the state cannot be read or the query is not understood.
    pub fn spaces_for(&self, asker: &Principal, query: &PageQuery) -> Result<Page<Space>, PresentError> {
        let (limit, after) = (page::limit(query.limit)?, page::after::<Spaces>(&[], query)?);
        let mut described = self.view.scan_keys::<Spaces>(&[], after.as_ref()).peekable();
        let mut used = self.view.scan_keys::<SpaceTotals>(&[], after.as_ref()).peekable();
        let (mut items, mut looks, mut last) = (Vec::new(), 0, None);
        loop {
            let next = match (described.peek(), used.peek()) {
                (None, None) => return Ok(Page { items, next_cursor: None }),
                (Some(Err(_)), _) | (Some(Ok(_)), None) => described.next(),
                (_, Some(Err(_))) | (None, Some(Ok(_))) => used.next(),
                (Some(Ok(one)), Some(Ok(other))) => match one.cmp(other) {
                    std::cmp::Ordering::Less => described.next(),
                    std::cmp::Ordering::Greater => used.next(),
                    std::cmp::Ordering::Equal => {
                        used.next();
                        described.next()
                    }
                },
            };
            if items.len() == limit || looks == page::LOOKS_MAX {
                return Ok(Page { items, next_cursor: last.as_ref().map(page::cursor_at::<Spaces>) });
            }
            let Some(name) = next.transpose()? else { continue };
            let rights = asker.rights_in(self.view, &name)?;
            if rights != SpaceRights::default() {
                items.extend(self.space(&name, rights)?);
            }
            (last, looks) = (Some(name), looks + 1);
        }
    }

    /// The material under a key of a space.
    ///
    /// # Errors
    /// Where the state cannot be read.
    pub fn under_key(&self, space: &str, key: &str) -> Result<Option<(MaterialId, MaterialRecord)>, ViewError> {
        let Some(id) = self.view.get_record::<Keys>(&(space.to_owned(), key.to_owned()))? else { return Ok(None) };
        Ok(self.view.get_record::<Materials>(&id)?.map(|record| (id, record)))
    }

    /// The files of a space in the order of their keys. What has a beginning up to the delimiter in common is one entry,
    /// and costs one look, however much it is.
    ///
    /// # Errors
    /// Where the state cannot be read or the query is not understood.
    pub fn files(&self, space: &str, query: &FilesQuery) -> Result<SpaceFiles, PresentError> {
        let limit = page::limit(query.limit)?;
        let prefix = query.prefix.as_deref().unwrap_or_default();
        if prefix.len() > FILE_KEY_LEN_MAX {
            return Err(page::refused(format!("prefix has {} bytes: a key has {FILE_KEY_LEN_MAX}", prefix.len())));
        }
        let divides = match query.delimiter.as_deref() {
            None | Some("") => false,
            Some("/") => true,
            Some(other) => return Err(page::refused(format!("delimiter is '{other}': it can be '/' only"))),
        };
        let stored = |rest: &[u8]| [&[Keys::TAG], keys::text(space).as_slice(), rest].concat();
        let within = stored(prefix.as_bytes());
        // The end of the last entry: a key as it is stored, or what follows all keys with a beginning.
        let mut end =
            query.cursor.as_deref().map(|cursor| page::from_hex(cursor).ok_or_else(page::foreign)).transpose()?;
        let mut files = SpaceFiles::default();
        loop {
            let after = end.as_ref().map(|end| stored(end));
            let Some(entry) = self.view.scan(&within, after.as_deref()).next() else { return Ok(files) };
            if files.items.len() + files.prefixes.len() == limit {
                files.next_cursor = end.as_deref().map(page::to_hex);
                return Ok(files);
            }
            let (found, _) = entry.map_err(PresentError::View)?;
            let Some((_, key)) = Keys::decode(&found[1..]) else { return Err(page::foreign()) };
            let common = key.get(prefix.len()..).and_then(|rest| rest.find('/')).filter(|_| divides);
            if let Some(at) = common {
                let common = key[..=prefix.len() + at].to_owned();
                // No text has this byte in it.
                end = Some([common.as_bytes(), &[0xff]].concat());
                files.prefixes.push(common);
                continue;
            }
            end = Some(keys::text(&key));
            if let Some((material, record)) = self.under_key(space, &key)? {
                let MaterialRecord { size, blake3, media_type, created_at, .. } = record;
                let etag = blake3.unwrap_or_default();
                files.items.push(SpaceFile { key, material, size, etag, media_type, created_at });
            }
        }
    }
}
