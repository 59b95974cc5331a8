//! Order, concurrency, thrift and cancellation of the ordered coalesce.

use super::*;
use datafusion::arrow::array::{AsArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use futures::FutureExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Barrier, Notify};

/// A leaf with scripted partitions.
#[derive(Clone)]
struct Script {
    /// Batches of each partition, by number of rows.
    batches: Vec<Vec<usize>>,
    /// Every partition waits for all others before its first batch.
    together: Option<Arc<Barrier>>,
    /// Waits for ever instead of ending.
    hang: bool,
    panic: bool,
    started: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    properties: Arc<PlanProperties>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

impl DisplayAs for Script {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, true)]))
}

fn script(batches: Vec<Vec<usize>>) -> Script {
    let properties = PlanProperties::new(
        EquivalenceProperties::new(schema()),
        Partitioning::UnknownPartitioning(batches.len()),
        EmissionType::Incremental,
        Boundedness::Bounded,
    );
    Script {
        batches,
        together: None,
        hang: false,
        panic: false,
        started: Arc::default(),
        made: Arc::default(),
        dropped: Arc::default(),
        properties: Arc::new(properties),
    }
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl ExecutionPlan for Script {
    fn name(&self) -> &str {
        "Script"
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }
    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn replace_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>, _: ReplaceChildrenOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }
    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }
    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let me = self.clone();
        let guard = OnDrop(Arc::clone(&self.dropped));
        let state = (me, guard, 0_usize);
        let batches = futures::stream::try_unfold(state, move |(me, guard, at)| async move {
            if at == 0 {
                me.started.fetch_add(1, Ordering::SeqCst);
                if let Some(together) = &me.together {
                    together.wait().await;
                }
            }
            assert!(!me.panic, "scripted");
            tokio::task::yield_now().await;
            let Some(rows) = me.batches[partition].get(at).copied() else {
                if me.hang {
                    Notify::new().notified().await;
                }
                return Ok(None);
            };
            me.made.fetch_add(1, Ordering::SeqCst);
            let first = i64::try_from(partition * 1000 + at * 100).unwrap();
            let values: Int64Array = (first..).take(rows).map(Some).collect();
            let batch = RecordBatch::try_new(schema(), vec![Arc::new(values)])?;
            Ok(Some((batch, (me, guard, at + 1))))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema(), batches)))
    }
}

fn run(script: &Script, fetch: Option<usize>) -> SendableRecordBatchStream {
    OrderedCoalesceExec::new(Arc::new(script.clone()), fetch).execute(0, Arc::default()).unwrap()
}

async fn values(stream: SendableRecordBatchStream) -> Vec<i64> {
    let batches: Vec<RecordBatch> = tokio::time::timeout(Duration::from_secs(20), stream.try_collect()).await.expect("it hangs").unwrap();
    batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[tokio::test]
async fn partitions_run_together_and_come_in_order() {
    let mut script = script(vec![vec![2, 1], vec![], vec![1, 1, 1], vec![2]]);
    script.together = Some(Arc::new(Barrier::new(4)));
    assert_eq!(values(run(&script, None)).await, [0, 1, 100, 2000, 2100, 2200, 3000, 3001]);
}

#[tokio::test]
async fn nothing_starts_before_the_first_poll() {
    let script = script(vec![vec![1], vec![1]]);
    let stream = run(&script, None);
    tokio::task::yield_now().await;
    assert_eq!(script.started.load(Ordering::SeqCst), 0);
    drop(stream);
}

#[tokio::test]
async fn a_fetch_asks_as_few_partitions_as_it_can() {
    for (batches, fetch, want, most_started) in [
        (vec![vec![3]; 8], 2, vec![0, 1], 1),
        (vec![vec![1]; 8], 2, vec![0, 1000], 3),
        (vec![vec![], vec![], vec![], vec![5], vec![5], vec![5], vec![5], vec![5]], 1, vec![3000], 7),
    ] {
        let script = script(batches);
        assert_eq!(values(run(&script, Some(fetch))).await, want);
        assert!(script.started.load(Ordering::SeqCst) <= most_started, "{want:?}: {:?}", script.started);
    }
}

#[tokio::test]
async fn a_fetch_stops_the_pages_of_its_partition() {
    let script = script(vec![vec![2; 9]]);
    assert_eq!(values(run(&script, Some(3))).await, [0, 1, 100]);
    assert_eq!(script.made.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn dropping_the_stream_cancels_every_partition() {
    let mut script = script(vec![vec![1], vec![1], vec![1]]);
    script.hang = true;
    let mut stream = run(&script, None);
    assert!(stream.next().await.is_some());
    assert!(stream.next().now_or_never().is_none(), "the first partition hangs");
    drop(stream);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(script.dropped.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_panic_is_an_error() {
    let mut script = script(vec![vec![1], vec![1]]);
    script.panic = true;
    let error = run(&script, None).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, DataFusionError::ExecutionJoin(_)), "{error}");
}

#[tokio::test]
async fn later_partitions_wait_when_the_budget_is_spent() {
    let script = script(vec![vec![1], vec![1; 5]]);
    let run = Run {
        input: Arc::new(script.clone()),
        context: Arc::default(),
        partitions: 2,
        started: 0,
        ended: 0,
        running: VecDeque::new(),
        allowed: usize::MAX,
        budget: Arc::new(Semaphore::new(0)),
        wanted: None,
        metrics: BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0),
    };
    let mut run = run;
    let mut got = Vec::new();
    while let Some(batch) = run.next().await {
        got.push(batch.unwrap().column(0).as_primitive::<Int64Type>().value(0));
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        // At most one batch waits in the slot and one in the producer's hand.
        assert!(script.made.load(Ordering::SeqCst) <= got.len() + 3, "{got:?}");
    }
    assert_eq!(got, [0, 1000, 1100, 1200, 1300, 1400]);
}

#[tokio::test]
async fn alone_it_runs_one_partition_after_the_other() {
    let script = script(vec![vec![2], vec![], vec![1, 1], vec![3]]);
    let mut plan = OrderedCoalesceExec::new(Arc::new(script.clone()), Some(3));
    plan.alone = true;
    assert_eq!(values(plan.execute(0, Arc::default()).unwrap()).await, [0, 1, 2000]);
    assert_eq!(script.started.load(Ordering::SeqCst), 3);
}
