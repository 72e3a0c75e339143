//! Blobs over HTTP: streamed both ways, ranges on the way out.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use object_store::GetRange;
use surge_protocol::Digest;
use surge_protocol::api::MAX_BLOB;

use super::Empty;
use super::extract::{Caller, Path};
use crate::coordinator::Coordinator;
use crate::error::{Code, Error, Result};

pub(super) async fn upload(
    State(coordinator): State<Arc<Coordinator>>,
    Caller(_): Caller,
    Path(digest): Path<Digest>,
    request: Request,
) -> Result<Json<Empty>> {
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|size| size > MAX_BLOB) {
        return Err(Error::new(Code::TooLarge, format!("a blob has at most {MAX_BLOB} bytes: split it")));
    }
    let patience = Duration::from_millis(coordinator.rules.body_wait);
    let size = coordinator.blobs.put(digest, pieces(request.into_body(), patience)).await?;
    tracing::debug!(%digest, size, "Blob stored");
    Ok(Json(Empty {}))
}

/// The body, each piece of which must arrive within `patience`.
fn pieces(body: Body, patience: Duration) -> impl Stream<Item = Result<Bytes>> + Unpin {
    let next = move |mut body: axum::body::BodyDataStream| async move {
        let piece = match tokio::time::timeout(patience, body.next()).await {
            Ok(None) => return None,
            Ok(Some(piece)) => piece.map_err(|_| Error::new(Code::BadRequest, "the upload broke off: send it again")),
            Err(_) => Err(Error::new(Code::TooSlow, "the upload stood still for too long: send it again")),
        };
        Some((piece, body))
    };
    Box::pin(stream::unfold(body.into_data_stream(), next))
}

pub(super) async fn download(
    State(coordinator): State<Arc<Coordinator>>,
    Path(digest): Path<Digest>,
    headers: HeaderMap,
) -> Result<Response> {
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).and_then(range);
    let partial = asked.is_some();
    let found = coordinator.blobs.get(digest, asked).await?;
    let length = found.range.end - found.range.start;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, format!("\"{digest}\"")),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
    ];
    let body = Body::from_stream(found.bytes);
    if !partial {
        return Ok((headers, body).into_response());
    }
    let part = format!("bytes {}-{}/{}", found.range.start, found.range.end.saturating_sub(1), found.size);
    Ok((StatusCode::PARTIAL_CONTENT, headers, [(header::CONTENT_RANGE, part)], body).into_response())
}

/// A single byte range. Anything else is not understood, and then the whole is the answer (RFC 9110, 14.2).
fn range(header: &str) -> Option<GetRange> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    match (first, last) {
        ("", last) => number(last).map(GetRange::Suffix),
        (first, "") => number(first).map(GetRange::Offset),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| GetRange::Bounded(first..last.saturating_add(1)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_header_is_a_range_or_none(header in ".{0,40}") {
            if let Some(GetRange::Bounded(range)) = range(&header) {
                prop_assert!(range.start < range.end || range.end == u64::MAX);
            }
        }
    }

    #[test]
    fn single_ranges_are_understood_and_lists_are_not() {
        assert!(matches!(range("bytes=0-9"), Some(GetRange::Bounded(part)) if part == (0..10)));
        assert!(matches!(range("bytes=5-"), Some(GetRange::Offset(5))));
        assert!(matches!(range("bytes=-5"), Some(GetRange::Suffix(5))));
        for header in ["bytes=9-0", "bytes=0-1,3-4", "lines=0-1", "bytes=-", "bytes=+1-2"] {
            assert!(range(header).is_none(), "{header}");
        }
    }
}
