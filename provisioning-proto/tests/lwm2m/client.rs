//! An LwM2M client that is being bootstrapped: its objects, and what it answers.

use std::collections::BTreeMap;

use provisioning_proto::lwm2m::{
    Code, ContentFormat, Instance, LINK_FORMAT, Method, Opaque, Path, Request, Response, Value,
};

/// What a client does otherwise than it should.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    /// It answers this to writes.
    pub writes: Option<Code>,
    /// It answers this to deletes.
    pub deletes: Option<Code>,
    /// It answers this to Finish, so many times.
    pub finish: Option<(Code, u8)>,
    /// It answers this to Discover.
    pub discover: Option<Code>,
    /// It says 2.04 to a write and forgets it.
    pub forgets: bool,
}

#[derive(Clone, Debug)]
pub struct Client {
    pub version: &'static str,
    pub format: ContentFormat,
    pub manners: Manners,
    pub objects: BTreeMap<(u16, u16), Instance>,
    pub bootstrap_account: u16,
    pub finished: u8,
    /// What it was asked, and in which format it was written to.
    pub log: Vec<String>,
    pub formats: Vec<u16>,
}

impl Client {
    /// A client with its bootstrap account at an instance of the Security object, and nothing else but its Device object.
    pub fn new(version: &'static str, format: ContentFormat, bootstrap_account: u16) -> Self {
        let account = Instance::new(bootstrap_account)
            .with(0, Value::Text("coaps://bootstrap".to_owned()))
            .with(1, Value::Boolean(true))
            .with(5, Value::Opaque(Opaque::new(b"burnt in".to_vec())));
        Self {
            version,
            format,
            manners: Manners::default(),
            objects: BTreeMap::from([
                ((0, bootstrap_account), account),
                ((3, 0), Instance::new(0)),
            ]),
            bootstrap_account,
            finished: 0,
            log: Vec::new(),
            formats: Vec::new(),
        }
    }

    pub fn asks(&self, endpoint: &str) -> Request {
        let mut request = Request::new(Method::Post, &["bs"]);
        request.query.push(format!("ep={endpoint}"));
        if self.version != "1.0" {
            request.query.push(format!("pct={}", self.format.number()));
        }
        request
    }

    pub fn keeps_its_bootstrap_account(&self) -> bool {
        let account = self.objects.get(&(0, self.bootstrap_account));
        account
            .is_some_and(|it| it.single(1) == Some(&Value::Boolean(true)) && it.single(5).is_some())
    }

    pub fn answer(&mut self, request: &Request) -> Response {
        let target = request.path.join("/");
        self.log.push(format!("{:?} /{target}", request.method));
        if target == "bs" {
            return self.finish();
        }
        let path = Path::from_segments(request.path.iter().map(String::as_str)).unwrap();
        match (request.method, path) {
            (Method::Get, Path::Root) => match self.manners.discover {
                Some(code) => Response::new(code),
                None => {
                    assert_eq!(request.accept, Some(LINK_FORMAT));
                    Response::new(Code::CONTENT)
                        .with_payload(LINK_FORMAT, Opaque::new(self.links().into_bytes()))
                }
            },
            // Read came with 1.1.
            (Method::Get, Path::Object(1)) if self.version != "1.0" => self.read(),
            (Method::Put, Path::Instance(object, id)) => self.write(object, id, request),
            (Method::Delete, path) => self.delete(path),
            _ => Response::new(Code::BAD_REQUEST),
        }
    }

    fn finish(&mut self) -> Response {
        if let Some((code, times)) = &mut self.manners.finish
            && *times > 0
        {
            *times -= 1;
            return Response::new(*code);
        }
        self.finished += 1;
        Response::new(Code::CHANGED)
    }

    fn links(&self) -> String {
        let mut links = match self.version {
            "1.0" => vec!["lwm2m=\"1.0\"".to_owned()],
            version => vec![format!("</>;lwm2m={version}")],
        };
        for ((object, id), instance) in &self.objects {
            let server = match object {
                0 => instance.single(10),
                1 => instance.single(0),
                _ => None,
            };
            links.push(match (server, instance.single(0)) {
                (Some(Value::Integer(server)), Some(Value::Text(uri))) => {
                    format!("</{object}/{id}>;ssid={server};uri=\"{uri}\"")
                }
                (Some(Value::Integer(server)), _) => format!("</{object}/{id}>;ssid={server}"),
                (_, Some(Value::Text(uri))) if self.version != "1.0" => {
                    format!("</{object}/{id}>;uri=\"{uri}\"")
                }
                _ => format!("</{object}/{id}>"),
            });
        }
        links.join(",")
    }

    fn read(&self) -> Response {
        let servers = self.objects.iter().filter(|((object, _), _)| *object == 1);
        let servers: Vec<_> = servers
            .map(|((object, _), it)| (*object, it.clone()))
            .collect();
        let payload = match self.format {
            ContentFormat::SenmlCbor => provisioning_proto::lwm2m::senml_cbor::encode(&servers),
            ContentFormat::SenmlJson => {
                provisioning_proto::lwm2m::senml_json::encode(&servers).unwrap()
            }
            _ => {
                let mut out = Vec::new();
                for (object, instance) in &servers {
                    let inner = self.format.encode(*object, instance).unwrap();
                    let kind = provisioning_proto::lwm2m::tlv::Kind::ObjectInstance;
                    provisioning_proto::lwm2m::tlv::write(
                        &mut out,
                        kind,
                        instance.id,
                        inner.expose(),
                    )
                    .unwrap();
                }
                Opaque::new(out)
            }
        };
        Response::new(Code::CONTENT).with_payload(self.format.number(), payload)
    }

    fn write(&mut self, object: u16, id: u16, request: &Request) -> Response {
        if let Some(code) = self.manners.writes {
            return Response::new(code);
        }
        let number = request.content_format.unwrap();
        self.formats.push(number);
        let format = ContentFormat::from_number(number).unwrap();
        let read = format
            .decode(Path::Instance(object, id), request.payload.expose())
            .unwrap();
        if !self.manners.forgets {
            self.objects
                .insert((object, id), read.into_iter().next().unwrap());
        }
        Response::new(Code::CHANGED)
    }

    fn delete(&mut self, path: Path) -> Response {
        if let Some(code) = self.manners.deletes {
            return Response::new(code);
        }
        let kept = (0, self.bootstrap_account);
        self.objects.retain(|at, _| {
            let meant = match path {
                Path::Root => *at != (3, 0),
                Path::Object(object) => at.0 == object,
                Path::Instance(object, id) => *at == (object, id),
                _ => false,
            };
            !meant || *at == kept
        });
        Response::new(Code::DELETED)
    }
}
