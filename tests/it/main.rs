#[test] fn probe(){
 for s in ["2026-11-22T23:41:12.126Z","2026-11-22T23:41:11.894719+00:00","2026-10-06 23:47:56.678+00","2026-10-06 23:47:56.678+0000","2026-10-06 23:47:56", "2026-10-06", "20261006T101112Z", "2026-10-06T23:47:56-00:30[x]", " 2026-10-06T23:47:56Z"] {
  println!("{s} -> {:?}", s.parse::<jiff::Timestamp>().map(|t| t.as_millisecond()));
 }
 let y = "Resources:\n  A:\n    Type: x\n    P: !Sub '${AWS::StackName}-e'\n    Q: !If [a, !Ref B, 3]\n    R: !GetAtt A.Arn\n    S: !Ref AWS::NoValue\n    T: \"2010-09-09\"\n    U: 2012-10-17\n    V: yes\n";
 let v: Result<serde_json::Value,_> = serde_saphyr::from_str(y);
 println!("{v:#?}");
}
